import { randomUUID } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { syncPath } from "./sync-path.ts";

/** A file that travels inside a program and must lie on disk to be used. */
export interface PackedFile {
  /** The name it gets on disk. */
  name: string;
  size: number;
  /** Hex, over the whole file. */
  sha256: string;
  /** xxHash3 of the whole file, 64 bits, hex. Quick enough to compare on every start: 4 ms for 45 MB where sha256 takes 30. */
  xxHash3: string;
  /** Gives the content; called only when the file has to be written. */
  read: () => Uint8Array;
}

/** A process that was killed leaves its temporary behind; no write takes this long. */
const TEMPORARY_AGE_MS_MAX = 3_600_000;

/**
 * Puts files into a folder, which is made if it is missing, and returns when each is there whole. A file that is whole
 * already is left alone; a missing or damaged one is written under a temporary name, fsynced and renamed, so several
 * processes may do this at once and one that already uses a file keeps what it has. Blocks: reads every byte on each call.
 * @throws Error when the folder cannot be written or trusted, or when what `read` gives is not what the hashes say
 */
export function unpack(folder: string, files: readonly PackedFile[]): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  refuseForeignFolder(folder);
  const missing = files.filter((file) => !isWhole(join(folder, file.name), file));
  if (missing.length === 0) return;
  removeOldTemporaries(folder);
  for (const file of missing) write(folder, file);
  syncPath(folder);
}

/** Code is loaded from here, so nobody but this user and root may be able to put anything in its place. */
function refuseForeignFolder(folder: string): void {
  const stat = lstatSync(folder);
  if (!stat.isDirectory()) throw new Error(`${folder} is not a folder`);
  const user = process.getuid?.();
  if (user !== undefined && stat.uid !== user && stat.uid !== 0) {
    throw new Error(`${folder} belongs to another user`);
  }
  if ((stat.mode & 0o022) !== 0) throw new Error(`${folder} can be written by other users`);
}

function isWhole(path: string, file: PackedFile): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile() || stat.size !== file.size) return false;
  // Mapped, not read: the same pages are needed by the loader next, and no copy is made.
  return Bun.hash.xxHash3(Bun.mmap(path)).toString(16) === file.xxHash3;
}

function write(folder: string, file: PackedFile): void {
  const content = file.read();
  const sha256 = new Bun.CryptoHasher("sha256").update(content).digest("hex");
  if (sha256 !== file.sha256)
    throw new Error(`the copy of ${file.name} in this program is damaged`);
  const temporary = join(folder, `${file.name}.${randomUUID()}.tmp`);
  try {
    const descriptor = openSync(temporary, "wx", 0o644);
    try {
      writeFileSync(descriptor, content);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, join(folder, file.name));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function removeOldTemporaries(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".tmp")) continue;
    const path = join(folder, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    const isOld = stat !== undefined && Date.now() - stat.mtimeMs > TEMPORARY_AGE_MS_MAX;
    if (isOld) rmSync(path, { force: true });
  }
}
