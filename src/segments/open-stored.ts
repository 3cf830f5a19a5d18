import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { hashFile, removePath, sizeOf } from "./files.ts";
import type { StoredFile, StoredSegment } from "./manifest.ts";
import { RowSet } from "./row-set.ts";
import { finishSteps, runSteps } from "./run-steps.ts";
import { pathsIn, type Sealed } from "./sealed.ts";
import type { Delta, OpenSegment, SegmentKind } from "./segment-kind.ts";

export interface OpenStored<Segment extends OpenSegment> {
  folder: string;
  kind: SegmentKind<Segment, Delta>;
  /** File that names what is being opened, one for each process that opens. */
  sentinel: string;
  /** Whoever wrote the files checks them, and nothing that they could hold does harm here. */
  trusts?: boolean;
}

/** Why a stored segment cannot be trusted. */
export class DamagedSegment extends Error {}

/** Opens a segment of the manifest after its sizes and hashes were checked. @throws DamagedSegment */
export function openStored<Segment extends OpenSegment>(
  options: OpenStored<Segment>,
  stored: StoredSegment,
  suspects: ReadonlySet<string>,
): Sealed<Segment> {
  for (const file of Object.values(stored.files)) {
    requireTrusted(file, suspects);
    requireSize(options.folder, file);
    requireHash(file, () => finishSteps(hashFile(join(options.folder, file.name))));
  }
  return openChecked(options, stored);
}

/** As `openStored`, between the thread's other work, and with the hashes taken as they are where the files are trusted. */
export async function openStoredInSteps<Segment extends OpenSegment>(
  options: OpenStored<Segment>,
  stored: StoredSegment,
): Promise<Sealed<Segment>> {
  for (const file of Object.values(stored.files)) {
    requireSize(options.folder, file);
    if (options.trusts === true) continue;
    const hash = await runSteps(hashFile(join(options.folder, file.name)));
    requireHash(file, () => hash);
  }
  return openChecked(options, stored);
}

function openChecked<Segment extends OpenSegment>(
  { folder, kind, sentinel }: OpenStored<Segment>,
  stored: StoredSegment,
): Sealed<Segment> {
  const paths = pathsIn(folder, stored);
  const segment = openGuarded(join(folder, sentinel), paths, () => kind.open(paths));
  if (segment.rows !== stored.rows) {
    segment.close();
    throw new DamagedSegment("it has another number of rows than the manifest says");
  }
  const dead = new RowSet(segment.rows, Uint8Array.fromBase64(stored.dead));
  return { segment, dead, stored };
}

/** A native library that is given bad bytes may end the process: the next start then knows what was being opened. */
function openGuarded<T>(
  sentinel: string,
  paths: Readonly<Record<string, string>>,
  open: () => T,
): T {
  const names = Object.values(paths).map((path) => basename(path));
  // Not synced: it must outlive the process, and need not outlive the machine.
  writeFileSync(sentinel, names.join("\n"));
  try {
    return open();
  } catch (error) {
    throw new DamagedSegment(error instanceof Error ? error.message : String(error));
  } finally {
    removePath(sentinel);
  }
}

function requireTrusted({ name }: StoredFile, suspects: ReadonlySet<string>): void {
  if (suspects.has(name)) throw new DamagedSegment("the process ended while it was opened");
}

function requireSize(folder: string, { name, bytes }: StoredFile): void {
  const size = sizeOf(join(folder, name));
  if (size < 0) throw new DamagedSegment("a file is missing");
  if (size !== bytes) throw new DamagedSegment(`it has ${size} bytes instead of ${bytes}`);
}

function requireHash(file: StoredFile, read: () => string): void {
  let hash: string;
  try {
    hash = read();
  } catch (error) {
    throw new DamagedSegment(`it cannot be read: ${String(error)}`);
  }
  if (hash !== file.hash) throw new DamagedSegment("its hash is another one");
}
