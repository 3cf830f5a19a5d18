import { describe, expect, test } from "bun:test";
import { statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createDocuments, type DocumentsDeps } from "../../../src/documents/documents.ts";
import { prepareDocuments } from "../../../src/documents/prepare.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { openLocalEngines, type LocalEngines } from "../../../src/engine/engines.ts";
import { limits } from "../../../src/limits.ts";
import { Problem } from "../../../src/problems.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import type { CollectionRow, NewCollection, Store } from "../../../src/store/store.ts";
import { engineOptions } from "../../support/engine.ts";
import { EMBEDDED, openEngine, SOON_MS } from "../engine/fixtures.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION } from "../store/fixtures.ts";
import { canMount, smallDisk } from "../store/small-disk.ts";

async function open(collection: NewCollection) {
  const { store, engines, engine, ...rest } = await openEngine();
  const row = await store.createCollection(collection);
  await engines.openCollection(row);
  return { ...rest, store, engine, row, documents: documentsOf(store, engines) };
}

/** The feature, with models in this process. */
function documentsOf(store: Store, engines: LocalEngines) {
  const { models } = engines.engine;
  const prepare: DocumentsDeps["prepare"] = async (inputs, { collection, ids: own }) => {
    const { countTokens } = await models.open(collection.model);
    return prepareDocuments(inputs, { ids: own, collection, countTokens });
  };
  return createDocuments({ store, engines, prepare });
}

/** Vectors that can be found once all that was committed can be. */
async function vectorsOf(engine: Engine, row: CollectionRow): Promise<number> {
  await engine.reach(row);
  return engine.vectorsOf(row);
}

const ids = (list: readonly { id: string | null }[]) => list.map(({ id }) => id);

describe("upsert", () => {
  test("over several transactions writes all but the wrong one, and answers in order", async () => {
    await using opened = await open(COLLECTION);
    const { documents, row, store } = opened;
    const count = limits.documentsPerTransactionMax * 2 + 50;
    const inputs = Array.from({ length: count }, (_, index) => ({
      id: `d${index}`,
      vector: index === 120 ? [1, 2, 3] : [1, index],
    }));
    const { items, upserted, sequence } = await documents.upsert(row, inputs);
    expect(ids(items)).toEqual(ids(inputs));
    expect(items.map(({ status }) => status).filter((status) => status !== "created")).toEqual([
      "failed",
    ]);
    expect(items[120]).toEqual({
      id: "d120",
      status: "failed",
      error: { code: "dimensions_mismatch", detail: expect.stringContaining("2 dimensions") },
    });
    expect([upserted, sequence]).toEqual([count - 1, count - 1]);
    expect(await store.countDocuments(row.key)).toBe(count - 1);
  });

  test("tells what is new from what was replaced, within one request too", async () => {
    await using opened = await open(EMBEDDED);
    const { documents, row } = opened;
    const statuses = async (...inputs: unknown[]) =>
      (await documents.upsert(row, inputs)).items.map(({ status }) => status);
    expect(await statuses({ id: "a", text: "1" }, { id: "a", text: "2" })).toEqual([
      "created",
      "replaced",
    ]);
    expect(await statuses({ id: "b", text: "1" }, { id: "a", text: "3" })).toEqual([
      "created",
      "replaced",
    ]);
    expect((await documents.get(row, "a")).text).toBe("3");
  });

  test("names documents that have no id, each differently, or as it is told", async () => {
    await using opened = await open(EMBEDDED);
    const { documents, row } = opened;
    const { items } = await documents.upsert(row, [{ text: "1" }, { text: "2" }]);
    expect(new Set(ids(items)).size).toBe(2);
    expect(await documents.get(row, items[1]?.id ?? "")).toMatchObject({ text: "2" });
    const inputs = [{ text: "1" }, { id: "mine", text: "2" }, { text: "3" }];
    const named = await documents.upsert(row, inputs, (index) => `n${index}`);
    expect(ids(named.items)).toEqual(["n0", "mine", "n2"]);
  });

  test("of nothing but wrong documents writes nothing and says why for each", async () => {
    await using opened = await open(EMBEDDED);
    const { documents, row } = opened;
    const inputs = [
      undefined,
      1,
      {},
      { id: "a" },
      { id: 7, text: "x" },
      { id: "\ud800", text: "x" },
    ];
    const { items, upserted, sequence } = await documents.upsert(row, inputs);
    expect([upserted, sequence]).toEqual([0, 0]);
    expect(items.map(({ id, error }) => [id, error?.code])).toEqual([
      [null, "invalid_request"],
      [null, "invalid_request"],
      [null, "empty_text"],
      ["a", "empty_text"],
      [null, "invalid_request"],
      [null, "invalid_text"],
    ]);
  });

  test("of no documents changes nothing", async () => {
    await using opened = await open(EMBEDDED);
    const { documents, row } = opened;
    expect(await documents.upsert(row, [])).toEqual({ upserted: 0, sequence: 0, items: [] });
  });

  test("can be found by meaning once it is caught up", async () => {
    await using opened = await open(EMBEDDED);
    const { documents, row, engine } = opened;
    await documents.upsert(row, [{ id: "a", text: "# One\n\nred flag\n\n# Two\n\ngreen flag" }]);
    await documents.caughtUp(AbortSignal.timeout(SOON_MS));
    expect(await documents.pending(row)).toBe(0);
    expect(await documents.get(row, "a")).toMatchObject({ chunks: 2, pending_embeddings: 0 });
    expect(await vectorsOf(engine, row)).toBe(2);
  });

  test("into a collection that is dropped meanwhile finds no collection", async () => {
    await using opened = await open(COLLECTION);
    const { documents, row, store } = opened;
    await store.dropCollection(row.key);
    const outcome = await documents
      .upsert(row, [{ id: "a", vector: [1, 0] }])
      .catch((reason: unknown) => reason);
    expect(outcome).toBeInstanceOf(Problem);
    expect(outcome).toHaveProperty("code", "collection_not_found");
  });

  // Needs root on Linux: a disk of its own is mounted and filled.
  test.skipIf(!canMount)("tells what was written before the disk was full", async () => {
    using disk = smallDisk(3072);
    await using store = await LocalStore.open(disk.path);
    await using engines = await openLocalEngines(store, engineOptions(disk.path));
    const row = await store.createCollection(COLLECTION);
    await engines.openCollection(row);
    const documents = documentsOf(store, engines);
    const { bavail, bsize } = statfsSync(disk.path);
    writeFileSync(join(disk.path, "ballast"), Buffer.alloc(bavail * bsize - 600_000));
    const inputs = Array.from({ length: 300 }, (_, index) => ({
      id: `d${index}`,
      vector: [1, index],
      text: index < limits.documentsPerTransactionMax ? "x" : "long ".repeat(2000),
    }));
    const { items, upserted } = await documents.upsert(row, inputs);
    expect(upserted).toBe(limits.documentsPerTransactionMax);
    expect(items.slice(0, 100).every(({ status }) => status === "created")).toBe(true);
    const refused = items.slice(100);
    expect(new Set(refused.map(({ error }) => error?.code))).toEqual(new Set(["storage_full"]));
    expect(await store.countDocuments(row.key)).toBe(upserted);
    // Where nothing at all can be written the request as a whole fails.
    const problem = await problemOf(() => documents.upsert(row, inputs.slice(200)));
    expect(problem.code).toBe("storage_full");
  });
});

describe("documents", () => {
  const inputs = Array.from({ length: 250 }, (_, index) => ({
    id: `d${String(index).padStart(3, "0")}`,
    vector: [1, index],
    metadata: { even: index % 2 === 0 },
  }));

  test("are listed in the order of their ids, filtered, page by page", async () => {
    await using opened = await open(COLLECTION);
    const { documents, row } = opened;
    await documents.upsert(row, inputs.toReversed());
    const filter = { even: true };
    const first = await documents.list(row, { filter, after: "", limit: 2 });
    expect(ids(first)).toEqual(["d000", "d002"]);
    const next = await documents.list(row, { filter: undefined, after: "d002", limit: 2 });
    expect(ids(next)).toEqual(["d003", "d004"]);
    expect(next[0]).toMatchObject({
      title: null,
      text: null,
      metadata: { even: false },
      chunks: 1,
    });
    const list = () => documents.list(row, { filter: { $x: 1 }, after: "", limit: 1 });
    expect((await problemOf(list)).code).toBe("invalid_filter");
  });

  test("that match are deleted, over several transactions, and no others", async () => {
    await using opened = await open(COLLECTION);
    const { documents, row, engine } = opened;
    await documents.upsert(row, inputs);
    expect(await documents.deleteMatching(row, { even: true })).toBe(125);
    expect(await documents.deleteMatching(row, { even: true })).toBe(0);
    expect(await vectorsOf(engine, row)).toBe(125);
    expect(await documents.deleteMatching(row, {})).toBe(125);
    expect(await vectorsOf(engine, row)).toBe(0);
    expect(documents.sequence()).toBe(500);
  });

  test("are deleted by id, and those that are not there are not counted", async () => {
    await using opened = await open(COLLECTION);
    const { documents, row } = opened;
    await documents.upsert(row, inputs);
    const all = [...inputs.map(({ id }) => id), "nobody", "d000"];
    expect(await documents.deleteIds(row, all)).toBe(250);
    expect((await problemOf(() => documents.delete(row, "d000"))).code).toBe("document_not_found");
    expect((await problemOf(() => documents.get(row, "d000"))).code).toBe("document_not_found");
  });
});
