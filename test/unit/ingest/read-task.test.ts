import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readFiles, type ReadBatch } from "../../../src/ingest/read-task.ts";
import { limits } from "../../../src/limits.ts";
import { tempDir } from "../../support/temp-dir.ts";

const LINES = 250;

/** Two files of documents, with a bad line in each. */
function writeFiles(folder: string) {
  for (const file of [0, 1]) {
    const lines = Array.from({ length: LINES }, (_, line) =>
      line === 7 ? "bad" : JSON.stringify({ id: `${file}-${line}`, text: "t" }),
    );
    writeFileSync(join(folder, `${file}.jsonl`), lines.join("\n"));
  }
  return [0, 1].map((file) => ({ id: `f${file}`, name: `${file}.jsonl`, units: LINES }));
}

async function batchesFrom(folder: string, from: ReadBatch["next"]): Promise<ReadBatch[]> {
  const batches: ReadBatch[] = [];
  const files = writeFiles(folder);
  await readFiles({ folder, files, from }, async (batch) => void batches.push(batch));
  return batches;
}

const idsOf = (batches: readonly ReadBatch[]): string[] =>
  batches.flatMap(({ documents }) => documents.map(({ document }) => document.id));

test("batches fit a transaction, are of one file, and end where the next one begins", async () => {
  using dir = tempDir();
  const batches = await batchesFrom(dir.path, { file: 0, results: 0 });
  for (const { documents, failures } of batches)
    expect(documents.length + failures.length).toBeLessThanOrEqual(
      limits.documentsPerTransactionMax,
    );
  expect(idsOf(batches)).toHaveLength(2 * LINES - 2);
  expect(batches.flatMap(({ failures }) => failures)).toEqual([
    { source: "f0", line: 8, code: "invalid_request", message: "is not valid JSON" },
    { source: "f1", line: 8, code: "invalid_request", message: "is not valid JSON" },
  ]);
  expect(batches.at(-1)?.next).toEqual({ file: 2, results: 0 });
  expect(batches[0]?.documents[3]).toMatchObject({ line: 4, document: { id: "0-3" } });
});

test("reading goes on from any place where a batch ended, and gives the rest", async () => {
  using dir = tempDir();
  const whole = await batchesFrom(dir.path, { file: 0, results: 0 });
  for (const [index, { next }] of whole.entries()) {
    const rest = await batchesFrom(dir.path, next);
    expect(idsOf(rest)).toEqual(idsOf(whole.slice(index + 1)));
  }
});

test("long texts are batches of their own", async () => {
  using dir = tempDir();
  const text = "x".repeat(limits.ingestBatchCharactersMax - 100);
  const lines = Array.from({ length: 3 }, (_, id) => JSON.stringify({ id: `${id}`, text }));
  writeFileSync(join(dir.path, "0.jsonl"), lines.join("\n"));
  const files = [{ id: "f", name: "0.jsonl", units: 3 }];
  const sizes: number[] = [];
  await readFiles({ folder: dir.path, files, from: { file: 0, results: 0 } }, async (batch) => {
    sizes.push(batch.documents.length);
  });
  expect(sizes).toEqual([2, 1]);
});

test("documents that are large by what comes with their texts do not come together", async () => {
  using dir = tempDir();
  const note = "x".repeat(limits.ingestBatchCharactersMax / 2);
  const lines = Array.from({ length: 4 }, (_, id) => JSON.stringify({ id, text: "t", note }));
  writeFileSync(join(dir.path, "0.jsonl"), lines.join("\n"));
  const files = [{ id: "f", name: "0.jsonl", units: 4 }];
  const sizes: number[] = [];
  await readFiles({ folder: dir.path, files, from: { file: 0, results: 0 } }, async (batch) => {
    sizes.push(batch.documents.length);
  });
  expect(sizes).toEqual([2, 2, 0]);
});
