import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Memory of a process and all below it, shared pages divided among those who share them (PSS), in bytes. */
export function memoryBytes(pid: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const parent = /^\d+$/.test(name) ? statOf(name)?.[1] : undefined;
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const isBelow = (one: number): boolean => {
    for (let at: number | undefined = one; at !== undefined; at = parents.get(at)) {
      if (at === pid) return true;
    }
    return false;
  };
  return [...parents.keys()].filter(isBelow).reduce((sum, one) => sum + pssOf(one), 0);
}

/** State and parent of a process, which may have ended since it was listed. */
function statOf(name: string): string[] | undefined {
  try {
    return readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1)?.split(" ");
  } catch {
    return undefined;
  }
}

function pssOf(pid: number): number {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** What the files below a folder take on the disk. */
export function diskBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => {
      const found = statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false });
      return sum + (found?.blocks ?? 0) * 512;
    }, 0);
}
