/**
 * Disk and memory after 20 rounds of deleting and writing the same 20,000 documents, against those of one live copy, and
 * the longest that a search was held up meanwhile: `bun bench/churn.ts [--json FILE]`
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Value } from "@sinclair/typebox/value";
import { CollectionSchema } from "../src/contract/collections.ts";
import { distinctDocuments, seededRandom } from "../test/e2e/distinct-documents.ts";
import { startServerProgram, type ServerProgram } from "../test/support/process.ts";
import { residentBytes } from "./support/process-facts.ts";
import { clusteredVectors } from "./support/clustered-vectors.ts";
import { median } from "./support/median.ts";
import { callJson, post } from "./support/server.ts";

const DOCUMENTS = 20_000;
const DIMENSIONS = 256;
const ROUNDS = 20;
const SEED = 20;
const PER_REQUEST = 500;

/** Disk at the end, in that of one live copy. */
const DISK_RATIO_MAX = 1.3;
/** Memory of the last rounds, in that of the first ones: flat but for noise. */
const MEMORY_RATIO_MAX = 1.15;
/** Median over the rounds of the longest that a search took while segments were sealed and merged. */
const HELD_UP_MS_MAX = 50;

const { values } = parseArgs({ options: { json: { type: "string" } } });
const folder = mkdtempSync(join(tmpdir(), "slipstream-churn-"));
const COLLECTION = "/api/v1/collections/churn";

function diskBytes(path: string): number {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => {
      // A file may go between the listing and the look at it.
      const found = statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false });
      return sum + (found?.blocks ?? 0) * 512;
    }, 0);
}

const random = seededRandom(SEED);
const make = distinctDocuments(random);
const vectors = clusteredVectors(DOCUMENTS + 100, DIMENSIONS, SEED);
const vectorOf = (row: number): number[] => [
  ...vectors.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS),
];
const documents = Array.from({ length: DOCUMENTS }, (_, row) => ({
  ...make(`d${row}`),
  vector: vectorOf(row),
}));

async function writeAll(server: ServerProgram): Promise<void> {
  for (let start = 0; start < DOCUMENTS; start += PER_REQUEST) {
    const slice = documents.slice(start, start + PER_REQUEST);
    await callJson(`${server.url}${COLLECTION}/documents`, post({ documents: slice }));
  }
}

async function deleteAll(server: ServerProgram): Promise<void> {
  for (let start = 0; start < DOCUMENTS; start += PER_REQUEST) {
    const ids = documents.slice(start, start + PER_REQUEST).map(({ id }) => id);
    await callJson(`${server.url}${COLLECTION}/documents/delete`, post({ ids }));
  }
}

/** Resolves when nothing has been built for a while: merges are taken up after two seconds without a write. */
async function settled(server: ServerProgram): Promise<void> {
  for (let quietSince = performance.now(); performance.now() - quietSince < 3000;) {
    const state = Value.Parse(CollectionSchema, await callJson(server.url + COLLECTION, {}));
    if (state.index.building) quietSince = performance.now();
    await Bun.sleep(20);
  }
}

/** Searches every few milliseconds until told to stop; resolves to their times in milliseconds. */
function searchOn(server: ServerProgram): { stop: () => Promise<number[]> } {
  const stopping = new AbortController();
  const times: number[] = [];
  const running = (async () => {
    for (let query = 0; !stopping.signal.aborted; query++) {
      const vector = vectorOf(DOCUMENTS + (query % 100));
      const start = performance.now();
      await callJson(`${server.url}${COLLECTION}/search`, post({ vector, k: 10 }));
      times.push(performance.now() - start);
      await Bun.sleep(5);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await running;
      return times;
    },
  };
}

try {
  await using server = await startServerProgram("db", {
    cwd: folder,
    env: { LOG_LEVEL: "warning" },
  });
  await callJson(
    `${server.url}/api/v1/collections`,
    post({ name: "churn", model: "none", dimensions: DIMENSIONS }),
  );
  await writeAll(server);
  await settled(server);
  const oneCopy = diskBytes(folder);
  const resident: number[] = [];
  const longest: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await deleteAll(server);
    await writeAll(server);
    // Writing is over: what holds a search up now is sealing and merging.
    const searching = searchOn(server);
    await settled(server);
    longest.push(Math.max(...(await searching.stop())));
    resident.push(residentBytes(server.pid));
    console.log(
      `round ${round + 1}: disk ${(diskBytes(folder) / oneCopy).toFixed(2)} copies, memory ${(residentBytes(server.pid) / 1e6).toFixed(0)} MB, longest search ${(longest.at(-1) ?? 0).toFixed(1)} ms`,
    );
  }
  // What other work on the machine holds a search up for: as long, with nothing to build.
  const quiet: number[] = [];
  for (let round = 0; round < 5; round++) {
    const searching = searchOn(server);
    await settled(server);
    quiet.push(Math.max(...(await searching.stop())));
  }
  const figures = {
    documents: DOCUMENTS,
    rounds: ROUNDS,
    one_copy_mb: oneCopy / 1e6,
    disk_ratio: diskBytes(folder) / oneCopy,
    memory_mb_first: median(resident.slice(2, 7)) / 1e6,
    memory_mb_last: median(resident.slice(-5)) / 1e6,
    memory_ratio: median(resident.slice(-5)) / median(resident.slice(2, 7)),
    longest_search_ms: median(longest),
    longest_search_ms_with_nothing_to_build: median(quiet),
    longest_search_ms_worst: Math.max(...longest),
  };
  console.table(figures);
  if (values.json !== undefined)
    await Bun.write(values.json, `${JSON.stringify(figures, null, 2)}\n`);
  const missed = [
    ...(figures.disk_ratio > DISK_RATIO_MAX ? ["disk"] : []),
    ...(figures.memory_ratio > MEMORY_RATIO_MAX ? ["memory"] : []),
    ...(figures.longest_search_ms > HELD_UP_MS_MAX ? ["searches held up"] : []),
  ];
  console.log(missed.length === 0 ? "every floor is held" : `missed: ${missed.join(", ")}`);
  process.exitCode = missed.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
