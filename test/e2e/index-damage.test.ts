import { expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { startServerProgram } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";
import { seededRandom } from "./distinct-documents.ts";
import {
  createWorld,
  find,
  maintain,
  remove,
  stop,
  whole,
  wordOf,
  worldDocument,
  write,
} from "./index-world.ts";

const SEED = 41;
const BOOTS = 60;
const DOCUMENTS = 6500;
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, at) => from + at);

/** Sealed by halves, so that a damage to one segment leaves another one; some rows of both are dead, some rows unsealed. */
async function prepare(folder: string): Promise<void> {
  await using server = await startServerProgram(join(folder, "good"), { cwd: folder });
  await createWorld(server);
  await write(server, range(0, 6000));
  await maintain(server, "compact");
  cpSync(join(folder, "good", "index"), join(folder, "stale"), {
    recursive: true,
    // Those that follow take over what was sealed, and name what they are about to open for as long as it takes.
    filter: (path) => !/opening-\d+\.json$/.test(path),
  });
  await write(server, range(6000, DOCUMENTS));
  await remove(
    server,
    range(0, DOCUMENTS).filter((number) => number % 10 === 3),
  );
  await stop(server);
}

const SEARCHES = [
  ...range(0, 30).map((number) => ({ vector: worldDocument(number + 1e6).vector, k: 5 })),
  ...range(0, 30).map((number) => ({
    query: wordOf(number * 217 + (number % 2 === 0 ? 3 : 0)),
    mode: "keyword",
    k: 5,
  })),
];

async function answers(folder: string, dataDir: string): Promise<string[][]> {
  await using server = await startServerProgram(dataDir, { cwd: folder });
  // It answers from the start on, with what it has.
  await find(server, SEARCHES.slice(0, 3));
  await whole(server);
  const found = await find(server, SEARCHES);
  expect(await maintain(server, "verify")).toMatchObject({ ok: true });
  await stop(server);
  return found;
}

type Damage = (path: string, random: () => number) => void;

const DAMAGES: Record<string, Damage> = {
  truncated: (path, random) => truncateSync(path, Math.floor(random() * readFileSync(path).length)),
  "flipped in one bit": (path, random) => {
    const bytes = readFileSync(path);
    const at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    writeFileSync(path, bytes);
  },
  "with a page of zeros": (path, random) => {
    const bytes = readFileSync(path);
    const at = Math.floor((random() * bytes.length) / 4096) * 4096;
    const page = bytes.subarray(at, at + 4096);
    page.fill(page.every((byte) => byte === 0) ? 255 : 0);
    writeFileSync(path, bytes);
  },
  garbage: (path, random) => {
    const bytes = readFileSync(path);
    writeFileSync(
      path,
      bytes.map(() => Math.floor(random() * 256)),
    );
  },
  missing: (path) => rmSync(path),
  "beside a stale manifest": (path) => {
    // The manifest of an earlier time; what it names may be there or not.
    const kind = path.includes("/keyword/") ? "keyword" : "vectors";
    const stale = join(path, "../../../../../../stale/1", kind, "manifest.json");
    cpSync(stale, join(path, "../manifest.json"));
  },
};

test(`${BOOTS} seeded damages to index files: every boot answers, and as a clean rebuild does (seed ${SEED})`, async () => {
  using dir = tempDir();
  await prepare(dir.path);
  const random = seededRandom(SEED);
  const at = (...names: string[]): string => join(dir.path, ...names);
  cpSync(at("good"), at("work", "db"), { recursive: true });
  rmSync(at("work", "db", "index"), { recursive: true });
  const expected = await answers(dir.path, at("work", "db"));
  expect(expected.slice(0, 30).every((ids) => ids.length === 5)).toBe(true);
  expect(expected.slice(30).map((ids) => ids.length)).toContain(0);
  expect(expected.slice(30).map((ids) => ids.length)).toContain(1);

  const names = Object.keys(DAMAGES);
  for (let boot = 0; boot < BOOTS; boot++) {
    rmSync(at("work"), { recursive: true });
    mkdirSync(at("work"));
    cpSync(at("good"), at("work", "db"), { recursive: true });
    const files = ["keyword", "vectors"].flatMap((kind) =>
      readdirSync(at("work", "db", "index", "1", kind)).map((name) =>
        at("work", "db", "index", "1", kind, name),
      ),
    );
    const path = files[Math.floor(random() * files.length)] ?? "";
    const name = names[boot % names.length] ?? "";
    DAMAGES[name]?.(path, random);
    const found = await answers(dir.path, at("work", "db"));
    expect({ boot, name, path, found }).toEqual({ boot, name, path, found: expected });
  }
}, 300_000);
