import { tempDir } from "../../support/temp-dir.ts";

/** True where this process may mount a file system of its own to fill. */
export const canMount: boolean =
  process.platform === "linux" && process.getuid?.() === 0 && mountsHere();

/** A disk of so many KiB, gone when the test is over. Only where `canMount`. */
export function smallDisk(sizeKiB: number): { path: string } & Disposable {
  const dir = tempDir();
  if (!mount(dir.path, sizeKiB)) throw new Error("the small disk could not be mounted");
  return {
    path: dir.path,
    [Symbol.dispose]: () => {
      // Lazily: a file of it that is still open must not keep the folder.
      Bun.spawnSync(["umount", "-l", dir.path]);
      dir[Symbol.dispose]();
    },
  };
}

/** Root in a container may still not be allowed to. */
function mountsHere(): boolean {
  using dir = tempDir();
  if (!mount(dir.path, 64)) return false;
  return Bun.spawnSync(["umount", dir.path]).exitCode === 0;
}

function mount(path: string, sizeKiB: number): boolean {
  return (
    Bun.which("mount") !== null &&
    Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${sizeKiB}k`, "none", path]).exitCode === 0
  );
}
