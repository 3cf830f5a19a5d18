import type { Dirent, Stats } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { utf8Bytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import type { SourceFile } from "./document.ts";
import { fileErrorReason } from "./file-error.ts";
import { formatOf, readableEndings } from "./formats.ts";

/** Room that `#part-12` and `#1234567` take behind the id of a file. */
const ID_SUFFIX_BYTES_MAX = 16;

/** A file to ingest; `bytes` is its size when it was found. */
export interface FoundFile extends SourceFile {
  kind: "file";
  bytes: number;
}

/** A path that cannot be ingested and why. */
export interface PathProblem {
  kind: "problem";
  path: string;
  message: string;
}

/** How many files of a named folder have an ending that no reader knows; the last entry of that folder, if any. */
export interface SkippedFiles {
  kind: "skipped";
  path: string;
  count: number;
}

/** One step of the walk. */
export type FoundEntry = FoundFile | PathProblem | SkippedFiles;

/**
 * The files under the given files and folders. The order is stable: paths as given; in a folder its files by name, then
 * its folders by name. Dot-files and `node_modules` inside a folder are passed over; what is named is taken.
 *
 * A linked folder is walked after everything that truly lies in the folder, and each real folder only once, so that a
 * loop ends and a link never changes the id of a file that is there without it. Two different files that would get one
 * id are a problem, for the second would replace the first.
 */
export async function* findFiles(paths: readonly string[]): AsyncIterable<FoundEntry> {
  const pathById = new Map<string, string>();
  for (const path of paths) {
    for await (const entry of findIn(path)) {
      if (entry.kind !== "file") {
        yield entry;
        continue;
      }
      const fullPath = resolve(entry.path);
      const earlier = pathById.get(entry.id);
      pathById.set(entry.id, earlier ?? fullPath);
      if (earlier === undefined) yield entry;
      else if (earlier !== fullPath) yield sameId(entry, earlier);
    }
  }
}

async function* findIn(path: string): AsyncIterable<FoundEntry> {
  const found = await statOrProblem(path);
  if (found.kind === "problem") yield found;
  else if (found.stats.isDirectory()) yield* walk(path);
  else if (!found.stats.isFile()) yield problem(path, "is neither a file nor a folder");
  else if (formatOf(path) === undefined) {
    yield problem(path, `has an ending that cannot be read; known are ${readableEndings}`);
  } else yield fileEntry(dirname(path), path, found.stats);
}

async function* walk(root: string): AsyncIterable<FoundEntry> {
  const visited = new Set<string>();
  const pending = [root];
  const linked: string[] = [];
  let rootRealPath: string | undefined;
  let skipped = 0;
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop() ?? linked.shift()) {
    const listing = await list(folder);
    if (listing.kind === "problem") yield listing;
    if (listing.kind === "problem" || visited.has(listing.realPath)) continue;
    rootRealPath ??= listing.realPath;
    if (isAbove(listing.realPath, rootRealPath)) continue;
    visited.add(listing.realPath);
    const folders: string[] = [];
    for (const child of listing.children) {
      const path = join(folder, child.name);
      const step = await classify(path, child);
      if (step.kind === "folder") (child.isSymbolicLink() ? linked : folders).push(path);
      else if (step.kind === "problem") yield step;
      else if (step.kind === "file") yield fileEntry(root, path, step.stats);
      else if (step.kind === "unknown") skipped++;
    }
    // A stack gives the last one first, so the first name goes on last.
    pending.push(...folders.toReversed());
  }
  if (skipped > 0) yield { kind: "skipped", path: root, count: skipped };
}

type Step = { kind: "folder" | "unknown" | "other" } | { kind: "file"; stats: Stats } | PathProblem;

async function classify(path: string, child: Dirent): Promise<Step> {
  if (child.isDirectory()) return { kind: "folder" };
  const isLink = child.isSymbolicLink();
  if (!isLink && !child.isFile()) return { kind: "other" };
  if (!isLink && formatOf(path) === undefined) return { kind: "unknown" };
  const found = await statOrProblem(path);
  if (found.kind === "problem") return found;
  if (found.stats.isDirectory()) return { kind: "folder" };
  if (!found.stats.isFile()) return { kind: "other" };
  return formatOf(path) === undefined ? { kind: "unknown" } : { kind: "file", stats: found.stats };
}

type Listing = { kind: "listing"; realPath: string; children: Dirent[] } | PathProblem;

async function list(folder: string): Promise<Listing> {
  try {
    const children = await readdir(folder, { withFileTypes: true });
    const wanted = children.filter(
      (child) => !child.name.startsWith(".") && child.name !== "node_modules",
    );
    wanted.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { kind: "listing", realPath: await realpath(folder), children: wanted };
  } catch (cause) {
    return problem(folder, fileErrorReason(cause));
  }
}

/** A link to a folder above the root leads out of the root and back in: a loop, though nothing there was visited yet. */
function isAbove(folderRealPath: string, rootRealPath: string): boolean {
  const prefix = folderRealPath.endsWith(sep) ? folderRealPath : folderRealPath + sep;
  return rootRealPath.startsWith(prefix);
}

function fileEntry(root: string, path: string, stats: Stats): FoundFile | PathProblem {
  const id = relative(root, path).replaceAll(sep, "/");
  const idBytesMax = limits.documentIdBytesMax - ID_SUFFIX_BYTES_MAX;
  if (utf8Bytes(id) > idBytesMax) {
    return problem(path, `has a path of more than ${idBytesMax} bytes, too long for a document id`);
  }
  return { kind: "file", path, id, bytes: stats.size };
}

async function statOrProblem(path: string): Promise<{ kind: "stats"; stats: Stats } | PathProblem> {
  try {
    return { kind: "stats", stats: await stat(path) };
  } catch (cause) {
    return problem(path, fileErrorReason(cause));
  }
}

function sameId(file: FoundFile, earlier: string): PathProblem {
  const message = `would get the same id as ${earlier} (${file.id}); name the folder that holds both`;
  return problem(file.path, message);
}

function problem(path: string, message: string): PathProblem {
  return { kind: "problem", path, message };
}
