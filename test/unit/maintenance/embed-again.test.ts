import { describe, expect, test } from "bun:test";
import type { LocalEngines } from "../../../src/engine/engines.ts";
import { createJobs } from "../../../src/jobs/jobs.ts";
import { createMaintenanceJobs } from "../../../src/maintenance/maintenance-jobs.ts";
import { createMaintenance } from "../../../src/maintenance/maintenance.ts";
import { systemClock, type Clock } from "../../../src/rooms/clock.ts";
import type { NewCollection, Store } from "../../../src/store/store.ts";
import { eventually } from "../../support/process.ts";
import { EMBEDDED, openEngine } from "../engine/fixtures.ts";
import { fakeClock } from "../rooms/fake-clock.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION, slicesOf, vectorsIn, written } from "../store/fixtures.ts";

const OTHER = "f".repeat(64);
const COUNT = 200;
const texts = Array.from({ length: COUNT }, (_, number) => `lap ${number} of the race`);

/** Vectors of no meaning, as weights that nobody has any more have made them. */
const oldVector = (): Float32Array => new Float32Array(256).fill(1 / 16);

/** A way to embed that a test may stand in. */
type Embed = LocalEngines["embedPassages"];

/** A collection of documents that other weights have embedded, and the jobs that look after it. */
async function openWorld({
  instead,
  compact,
  clock = systemClock,
}: { instead?: (embed: Embed) => Embed; compact?: () => Promise<void>; clock?: Clock } = {}) {
  await using stack = new AsyncDisposableStack();
  const opened = stack.use(await openEngine());
  const { store, engines } = opened;
  const collection = await store.createCollection({ ...EMBEDDED, modelSha256: OTHER });
  await engines.openCollection(collection);
  const documents = texts.map((text, number) => written(`d${number}`, text));
  for (const slice of slicesOf(documents)) await store.writeDocuments(collection.key, slice);
  await embedByOthers(store, collection.key);
  let forgotten = 0;
  const collections = {
    forget() {
      forgotten++;
      engines.forgetCollections();
    },
  };
  const embed: Embed = (options) => engines.embedPassages(options);
  const embedPassages = instead?.(embed) ?? embed;
  const jobs = stack.use(createJobs({ store, workers: 1, clock }));
  const maintenance = createMaintenance({ store, engines });
  const maintenanceJobs = createMaintenanceJobs({
    jobs,
    store,
    engines: { ...engines, embedPassages, ...(compact === undefined ? {} : { compact }) },
    maintenance,
    collections,
  });
  await jobs.start();
  const owned = stack.move();
  return {
    store,
    engines,
    collection,
    jobs,
    maintenanceJobs,
    forgotten: () => forgotten,
    again: () => maintenanceJobs.embedAgain(collection),
    state: async () => (await store.collection(collection.name))?.embedAgain,
    /** `meanwhile` is called each time that it has not. */
    ended: (id: string, meanwhile = () => {}) =>
      eventually(`job ${id} has ended`, async () => {
        meanwhile();
        const job = await jobs.get(id);
        return job.finished_at === null ? undefined : job;
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function embedByOthers(store: Store, collectionKey: number): Promise<void> {
  const waiting = await store.pending({ after: 0, limit: COUNT });
  const vectors = waiting.map(({ key }) => ({ key, vector: oldVector() }));
  await store.writeVectors(collectionKey, vectors);
}

/** Whether every vector is what the installed model gives. */
async function areAllNew({ store, engines, collection }: Awaited<ReturnType<typeof openWorld>>) {
  const vectors = await vectorsIn(store, collection.key);
  const hits = await store.hits(vectors.map(({ key }) => key));
  const model = await engines.engine.models.open(collection.model);
  const wanted = await model.embed(vectors.map(({ key }) => hits.get(key)?.text ?? ""));
  return (
    vectors.length === COUNT &&
    vectors.every(({ vector }, at) => Bun.deepEquals(vector, wanted[at]))
  );
}

describe("embedding a collection again", () => {
  test("gives every chunk the vector of the installed weights, and lets what waits be embedded", async () => {
    await using world = await openWorld();
    const { store, engines, collection } = world;
    await store.writeDocuments(collection.key, [written("late", "it waits for its vector")]);
    const { id } = await world.again();
    const job = await world.ended(id);
    expect(job).toMatchObject({
      kind: "reindex",
      state: "succeeded",
      progress: { done: COUNT + 1, total: COUNT + 1, unit: "chunks" },
      result: { chunks: COUNT + 1, problems: [] },
    });
    expect(world.forgotten()).toBe(2);
    expect(await world.state()).toBe("no");
    await engines.caughtUp(AbortSignal.timeout(5000));
    expect((await store.counts(collection.key)).pendingEmbeddings).toBe(0);
    await store.deleteDocuments(collection.key, ["late"]);
    expect(await areAllNew(world)).toBe(true);
    // Nothing is left of the old rows.
    expect(await engines.report(collection.key)).toMatchObject({ vectors: COUNT, words: COUNT });
    expect((await engines.check(collection))?.problems).toEqual([]);
  });

  test("goes on with what is left where an earlier job was cancelled", async () => {
    const gate = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    let calls = 0;
    let embedded = 0;
    await using world = await openWorld({
      instead: (embed) => async (options) => {
        // The second page of the first job.
        if (++calls > 4 && calls <= 8) {
          reached.resolve();
          await gate.promise;
        }
        embedded += options.texts.length;
        return embed(options);
      },
    });
    const first = await world.again();
    await reached.promise;
    await world.jobs.cancel(first.id);
    gate.resolve();
    expect(await world.ended(first.id)).toMatchObject({ state: "cancelled" });
    expect(await world.state()).toBe("other_weights");
    const second = await world.again();
    expect(await world.ended(second.id)).toMatchObject({ state: "succeeded" });
    expect(await areAllNew(world)).toBe(true);
    expect(embedded).toBe(COUNT);
  });

  test("is tried again where the model fails, and begins no page twice", async () => {
    let calls = 0;
    let embedded = 0;
    await using world = await openWorld({
      instead: (embed) => async (options) => {
        if (++calls === 6) throw new Error("the model is away");
        embedded += options.texts.length;
        return embed(options);
      },
    });
    const { id } = await world.again();
    const job = await world.ended(id);
    expect(job).toMatchObject({ state: "succeeded", progress: { done: COUNT, total: COUNT } });
    expect(await areAllNew(world)).toBe(true);
    // All but the page that failed once, of which three batches were embedded twice.
    expect(embedded).toBeLessThanOrEqual(COUNT + 64);
  });

  test("is given up where the model fails at each try, and goes on when it is asked for again", async () => {
    const clock = fakeClock();
    let calls = 0;
    let isAway = true;
    await using world = await openWorld({
      clock,
      instead: (embed) => async (options) => {
        // After the first page.
        if (++calls > 4 && isAway) throw new Error("the model is away");
        return embed(options);
      },
    });
    const { id } = await world.again();
    const job = await world.ended(id, () => clock.pass(60_000));
    expect(job).toMatchObject({ state: "failed", progress: { done: 64, total: COUNT } });
    expect(job.attempts).toBe(5);
    isAway = false;
    const second = await world.again();
    expect(await world.ended(second.id)).toMatchObject({ state: "succeeded" });
    expect(await areAllNew(world)).toBe(true);
  });

  test("embeds nothing twice where only what comes after it has failed", async () => {
    let [embedded, tries] = [0, 0];
    await using world = await openWorld({
      instead: (embed) => async (options) => {
        embedded += options.texts.length;
        return embed(options);
      },
      compact: async () => {
        if (++tries === 1) throw new Error("the owner of the index files is away");
      },
    });
    const { id } = await world.again();
    expect(await world.ended(id)).toMatchObject({ state: "succeeded" });
    expect({ embedded, tries }).toEqual({ embedded: COUNT, tries: 2 });
    expect(await areAllNew(world)).toBe(true);
  });

  test("by the same weights leaves everything to be found meanwhile", async () => {
    const gate = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    let isHeld = false;
    await using world = await openWorld({
      instead: (embed) => async (options) => {
        if (isHeld && options.texts.includes(texts[100] ?? "")) {
          reached.resolve();
          await gate.promise;
        }
        return embed(options);
      },
    });
    const first = await world.again();
    await world.ended(first.id);
    isHeld = true;
    const second = await world.again();
    await reached.promise;
    const row = await world.store.collection(world.collection.name);
    expect(row?.embedAgain).toBe("same_weights");
    if (row === undefined) throw new Error("the collection is there");
    const { engine } = world.engines;
    await engine.reach(row);
    expect(engine.vectorsOf(row)).toBe(COUNT);
    expect(await engine.embedQuery(row, "lap 7 of the race")).toBeDefined();
    gate.resolve();
    await world.ended(second.id);
    expect(await world.state()).toBe("no");
  });

  test("is refused where there is no model, where it is not installed, and where its vectors have another length", async () => {
    await using world = await openWorld();
    const codeOf = async (collection: NewCollection): Promise<string> => {
      const row = await world.store.createCollection(collection);
      return (await problemOf(() => world.maintenanceJobs.embedAgain(row))).code;
    };
    expect(await codeOf({ ...COLLECTION, name: "own" })).toBe("vector_required");
    expect(await codeOf({ ...EMBEDDED, name: "gone", model: "gone" })).toBe("unknown_model");
    expect(await codeOf({ ...EMBEDDED, name: "long", dimensions: 8 })).toBe("dimensions_mismatch");
  });

  test("ends where the collection is dropped meanwhile", async () => {
    const gate = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    await using world = await openWorld({
      instead: (embed) => async (options) => {
        reached.resolve();
        await gate.promise;
        return embed(options);
      },
    });
    const { id } = await world.again();
    await reached.promise;
    await world.store.dropCollection(world.collection.key);
    gate.resolve();
    expect(await world.ended(id)).toMatchObject({
      state: "failed",
      error: { code: "collection_not_found" },
    });
  });
});
