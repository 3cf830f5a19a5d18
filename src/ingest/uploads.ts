import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { utf8Bytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { getLogger } from "../telemetry/logs.ts";
import { formatOf, readableEndings, type FileFormat } from "./formats.ts";
import type { StoredFile } from "./read-task.ts";

const log = getLogger("ingest");

/** Room that `#part-12` and `#1234567` take behind the id of a file. */
const ID_SUFFIX_BYTES_MAX = 16;

const NEWLINE = 0x0a;

/** A file on its way in. */
export interface IncomingFile {
  /** As its sender calls it. */
  filename: string;
  body: AsyncIterable<Uint8Array>;
}

/** Files that wait for the job that reads them, each job's in a folder of its own. */
export class Uploads {
  readonly #folder: string;
  /** Of all files that wait or come in. */
  #bytes = 0;

  /** `folder` is made when it is first needed. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where the files of a job lie. */
  folderOf(jobId: string): string {
    return join(this.#folder, jobId);
  }

  /** Removes what no job wants any more, and counts the rest; to be called once, before anything comes in. */
  async open(isWanted: (jobId: string) => Promise<boolean>): Promise<void> {
    for (const jobId of await namesIn(this.#folder)) {
      if (await isWanted(jobId)) this.#bytes += await bytesIn(this.folderOf(jobId));
      else await rm(this.folderOf(jobId), { recursive: true, force: true });
    }
  }

  /**
   * Stores files as they come in, synced to disk. Nothing is left of an upload that fails.
   * @throws Problem `unsupported_media_type`, `too_large`, `invalid_request`, `invalid_text`, `busy`, `storage_full`
   */
  async take(jobId: string, files: AsyncIterable<IncomingFile>): Promise<StoredFile[]> {
    const folder = this.folderOf(jobId);
    const stored: StoredFile[] = [];
    let bytes = 0;
    const count = (more: number): void => {
      bytes += more;
      this.#bytes += more;
      this.#requireRoom(bytes);
    };
    try {
      await mkdir(folder, { recursive: true });
      for await (const file of files) {
        const format = requireFile(file.filename, stored);
        const name = `${stored.length}${extname(file.filename).toLowerCase()}`;
        const lines = await writeFile(join(folder, name), file, count);
        stored.push({ id: idOf(file.filename), name, units: unitsOf(format, lines) });
      }
      if (stored.length === 0) {
        throw new Problem("invalid_request", "Send at least one file, as multipart/form-data.");
      }
      await syncFolder(folder);
      return stored;
    } catch (error) {
      this.#bytes -= bytes;
      await rm(folder, { recursive: true, force: true });
      throw toProblem(error);
    }
  }

  /** Removes a job's files; nothing happens where there are none. */
  async remove(jobId: string): Promise<void> {
    const folder = this.folderOf(jobId);
    const bytes = await bytesIn(folder);
    await rm(folder, { recursive: true, force: true });
    this.#bytes -= bytes;
    log.debug("upload.removed", { job_id: jobId, bytes });
  }

  #requireRoom(bytes: number): void {
    if (bytes > limits.uploadBytesMax) {
      throw new Problem("too_large", `An upload may have ${limits.uploadBytesMax} bytes.`);
    }
    if (this.#bytes <= limits.uploadsBytesMax) return;
    throw new Problem("busy", "Too many uploads wait for their jobs.", { retryAfterMs: 30_000 });
  }
}

/** Writes one file and counts its lines. */
async function writeFile(
  path: string,
  { filename, body }: IncomingFile,
  count: (bytes: number) => void,
): Promise<number> {
  await using handle = await open(path, "w");
  let [bytes, lines, last] = [0, 0, NEWLINE];
  for await (const part of body) {
    if (part.length === 0) continue;
    bytes += part.length;
    if (bytes > limits.ingestFileBytesMax) {
      const message = `is larger than ${limits.ingestFileBytesMax} bytes`;
      throw wrongFile("too_large", filename, message);
    }
    count(part.length);
    for (let at = part.indexOf(NEWLINE); at !== -1; at = part.indexOf(NEWLINE, at + 1)) lines++;
    last = part.at(-1) ?? last;
    await handle.write(part);
  }
  await handle.sync();
  return last === NEWLINE ? lines : lines + 1;
}

/** A file's documents, as far as its lines tell: a row of CSV may have several, and the first one has the names. */
function unitsOf(format: FileFormat, lines: number): number {
  if (format === "jsonl") return Math.max(1, lines);
  return format === "csv" ? Math.max(1, lines - 1) : 1;
}

function requireFile(filename: string, stored: readonly StoredFile[]): FileFormat {
  const format = formatOf(filename);
  if (format === undefined) {
    const message = `cannot be read; known endings are ${readableEndings}`;
    throw wrongFile("unsupported_media_type", filename, message);
  }
  const id = idOf(filename);
  const idBytesMax = limits.documentIdBytesMax - ID_SUFFIX_BYTES_MAX;
  if (utf8Bytes(id) > idBytesMax) {
    throw new Problem("invalid_request", `A file's name may have ${idBytesMax} bytes.`);
  }
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (!id.isWellFormed() || /[\u0000-\u001f]/.test(id)) {
    throw new Problem("invalid_text", "A file's name holds a control character.");
  }
  if (stored.some((one) => one.id === id)) {
    throw wrongFile("invalid_request", filename, "is there twice, and ids come from names");
  }
  if (stored.length >= limits.uploadFilesMax) {
    throw new Problem("too_large", `An upload may have ${limits.uploadFilesMax} files.`);
  }
  return format;
}

/** What documents are called after: the name, with folders where the sender gave them. It is never a path of this machine. */
function idOf(filename: string): string {
  return filename.replaceAll("\\", "/").replace(/^\/+/, "");
}

function wrongFile(
  code: "unsupported_media_type" | "too_large" | "invalid_request",
  filename: string,
  message: string,
): Problem {
  const shown = filename.slice(0, 100).toWellFormed();
  const errors = [{ field: "file", message: `${shown} ${message}` }];
  return new Problem(code, `${shown} ${message}.`, { errors });
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await namesIn(folder)) bytes += (await stat(join(folder, name))).size;
  return bytes;
}

/** The names of new files are on the disk only when their folder is. */
async function syncFolder(folder: string): Promise<void> {
  for (const path of [folder, join(folder, "..")]) {
    await using handle = await open(path, "r");
    await handle.sync();
  }
}

/** A full disk as the problem that it is. */
function toProblem(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new Problem("storage_full", "The disk has no room for the upload; nothing was kept.", {
    cause: error,
    retryAfterMs: 5000,
  });
}
