import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { LineTarget } from "./line-sink.ts";

const NEWLINE = 10;

export interface LogFileOptions {
  /** The file that is written to now; where it is another one than before, that one is begun. */
  path: () => string;
  /** Past it the file is given the time in its name, and a new one is begun. */
  bytesMax: number;
  /** Which of the files beside it are removed when a new one is begun, given from old to new. */
  outdated: (files: readonly OldFile[]) => readonly OldFile[];
  /** Whether a file beside it is one of these, by its name. */
  isOurs: (name: string) => boolean;
}

export interface OldFile {
  name: string;
  /** When it was last written to, in milliseconds since 1970. */
  writtenAtMs: number;
}

/**
 * A file of lines that is put aside by a rename when it is full: what has it open reads on, and no line is lost or cut in
 * two. A line that a crash has left without its end is ended by the next start.
 */
export class LogFile implements LineTarget {
  readonly #options: LogFileOptions;
  #file: { path: string; handle: FileHandle; bytes: number } | undefined;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  async prepare(bytes: number): Promise<void> {
    const path = this.#options.path();
    const file = this.#file;
    if (file?.path === path) {
      if (file.bytes === 0 || file.bytes + bytes <= this.#options.bytesMax) return;
      await rename(path, await freeName(path));
    }
    this.#file = undefined;
    await file?.handle.close();
    this.#file = await begin(path);
    await this.#removeOld(dirname(path), basename(path));
  }

  async write(bytes: Buffer): Promise<number> {
    const file = this.#file;
    if (file === undefined) throw new Error("a log file is prepared before it is written");
    const { bytesWritten } = await file.handle.write(bytes);
    file.bytes += bytesWritten;
    return bytesWritten;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  async #removeOld(folder: string, current: string): Promise<void> {
    const { isOurs, outdated } = this.#options;
    const names = (await readdir(folder)).filter((name) => name !== current && isOurs(name));
    const files = await Promise.all(
      names.map(async (name) => ({ name, writtenAtMs: (await stat(join(folder, name))).mtimeMs })),
    );
    files.sort((a, b) => a.writtenAtMs - b.writtenAtMs || (a.name < b.name ? -1 : 1));
    for (const { name } of outdated(files)) await rm(join(folder, name), { force: true });
  }
}

async function begin(path: string): Promise<{ path: string; handle: FileHandle; bytes: number }> {
  await mkdir(dirname(path), { recursive: true });
  const handle = await open(path, "a+");
  try {
    const { size } = await handle.stat();
    const last = Buffer.alloc(1, NEWLINE);
    if (size > 0) await handle.read(last, 0, 1, size - 1);
    if (last[0] === NEWLINE) return { path, handle, bytes: size };
    await handle.write("\n");
    return { path, handle, bytes: size + 1 };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The path with the time behind it: sorted by name is sorted by age. */
async function freeName(path: string): Promise<string> {
  const time = new Date().toISOString().replaceAll(":", "-");
  for (let number = 0; ; number++) {
    const name = number === 0 ? `${path}.${time}` : `${path}.${time}-${number}`;
    if (!(await exists(name))) return name;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
