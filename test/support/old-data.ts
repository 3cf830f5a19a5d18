import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "./temp-dir.ts";

const FOLDER = join(import.meta.dir, "../fixtures/data");

/** Versions of which a data directory is kept, as scripts/keep-data.ts made it then. */
export const OLD_VERSIONS: readonly string[] = readdirSync(FOLDER).toSorted();

/** A copy of the data that a version wrote, in a folder of its own, gone when the test is over. */
export function oldData(version: string): { dataDir: string } & Disposable {
  const dir = tempDir();
  const dataDir = join(dir.path, "db");
  cpSync(join(FOLDER, version), dataDir, { recursive: true });
  return { dataDir, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}
