import { expect, test } from "bun:test";
import { findModel } from "../../../src/engine/engine.ts";
import { eventually } from "../../support/process.ts";
import { problemOf } from "../problems/problem-of.ts";
import { MODEL, openWorld, replayed, smallModel, type World } from "./world.ts";

const INSTALLED = findModel(MODEL).sha256;
const OTHER = "f".repeat(64);
const ALL = ["insert", "update", "leave"] as const;
const MEANING = { text: "worn tyres", mode: "semantic", min_score: 0.6, on: ALL } as const;

/** Notes that the collection was embedded by other weights than are installed, and begins to embed it again by these. */
async function begin({ store, collectionKey }: World): Promise<number> {
  await store.beginEmbedAgain(collectionKey, OTHER);
  return (await store.beginEmbedAgain(collectionKey, INSTALLED)).upTo;
}

/** Embeds every chunk again, as if its text were another one. */
async function finish(
  { store, collectionKey }: World,
  { upTo, texts }: { upTo: number; texts: Readonly<Record<string, string>> },
): Promise<void> {
  const model = await smallModel();
  const chunks = await store.chunksUpTo({ collectionKey, after: 0, upTo, limit: 64 });
  const vectors = await model.embed(chunks.map(({ text }) => texts[text] ?? text));
  const rows = chunks.map(({ key }, index) => ({ key, vector: vectors[index] }));
  await store.embedAgain(collectionKey, rows);
  await store.endEmbedAgain(collectionKey);
}

const headIs = ({ stream }: Awaited<ReturnType<World["open"]>>, offset: number) =>
  eventually(`the head is ${offset}`, () => stream.head() === offset || undefined);

const short = (frames: readonly { doc: string; event: string }[]) =>
  frames.map(({ doc, event }) => `${doc} ${event}`);

test("queries by meaning are refused while a collection is embedded again by other weights, those by words go on", async () => {
  await using world = await openWorld();
  await world.put({ a: "worn tyres" });
  await world.embed();
  const upTo = await begin(world);
  const problem = await problemOf(() => world.open(MEANING));
  expect(problem.code).toBe("model_mismatch");
  expect(problem.detail).toContain("reindex?embed=all");
  const words = await world.open({ text: "rain", on: ALL });
  await world.put({ b: "rain" });
  expect(short(await world.heard(1))).toEqual(["b insert"]);
  await world.embed();
  await finish(world, { upTo, texts: {} });
  await world.put({ b: "sun" });
  expect(short(await world.heard(2))).toEqual(["b insert", "b leave"]);
  words.release();
});

test("a query that tells of leaving begins anew over other weights, and knows what matches by them", async () => {
  await using world = await openWorld();
  const { epoch } = world.store;
  const first = await world.open(MEANING);
  await world.put({ a: "worn tyres", b: "a shower of rain" });
  await world.embed();
  await headIs(first, 2);
  expect(short(await world.heard(1))).toEqual(["a insert"]);
  await world.restart();
  const upTo = await begin(world);
  // The weights that are installed see it the other way round.
  await finish(world, {
    upTo,
    texts: { "worn tyres": "a shower of rain", "a shower of rain": "worn tyres" },
  });
  const again = await world.open(MEANING);
  const resumed = await again.stream.resume({ since: { epoch, offset: 2 } });
  expect(resumed).toMatchObject({ recovered: false });
  await world.remove("a", "b");
  expect(short(await world.heard(2))).toEqual(["a insert", "b leave"]);
});

test("a query without leave resumes over it, and what changed since is scored by the vectors of now", async () => {
  await using world = await openWorld();
  const { epoch } = world.store;
  const query = { ...MEANING, on: ["insert"] } as const;
  const first = await world.open(query);
  await world.put({ a: "worn tyres" });
  await world.embed();
  await headIs(first, 1);
  await world.put({ b: "a shower of rain", c: "worn tyres" });
  await world.embed();
  await world.restart();
  const upTo = await begin(world);
  await finish(world, { upTo, texts: { "a shower of rain": "worn tyres" } });
  const again = await world.open(query);
  const resumed = await again.stream.resume({ since: { epoch, offset: 1 } });
  expect(resumed).toMatchObject({ recovered: true, replay: 2 });
  expect(short(await replayed(again, 1))).toEqual(["b insert", "c insert"]);
});

test("no document is told again because it is embedded again", async () => {
  await using world = await openWorld();
  const query = await world.open(MEANING);
  await world.put({ a: "worn tyres" });
  await world.embed();
  await world.heard(1);
  const { upTo } = await world.store.beginEmbedAgain(world.collectionKey, INSTALLED);
  await finish(world, { upTo, texts: {} });
  await world.put({ b: "worn tyres" });
  await world.embed();
  expect(short(await world.heard(2))).toEqual(["a insert", "b insert"]);
  await world.remove("a");
  expect(short(await world.heard(3))).toEqual(["a insert", "b insert", "a leave"]);
  query.release();
});
