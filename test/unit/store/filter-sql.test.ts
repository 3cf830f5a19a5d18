import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseFilter } from "../../../src/store/filter.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { matches, type Json, type JsonObject } from "./filter-oracle.ts";
import { COLLECTION, slicesOf, written } from "./fixtures.ts";

const SEED = 20_260;

/** Few names and values, so that filters find something; each value is near another that it must not equal. */
const NAMES = ["lap", "car", "ünï cöde", "x$[0]", "a\nb", "0"];
const texts = fc.constantFrom(
  "",
  "a",
  "A",
  "é",
  "e\u0301",
  "ab",
  "1",
  "true",
  "null",
  "😀",
  "ﬀ",
  "%_",
  "a'b\"",
);
const numbers = fc.oneof(
  fc.constantFrom(
    0,
    -0,
    1,
    -1,
    1.5,
    0.1 + 0.2,
    2 ** 53,
    2 ** 53 - 1,
    -(2 ** 63),
    2 ** 64,
    1e21,
    1e-7,
  ),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const scalars: fc.Arbitrary<Json> = fc.oneof(texts, numbers, fc.boolean(), fc.constant(null));
const inner: fc.Arbitrary<Json> = fc.constantFrom<Json>([1], { lap: 1 });
const names = fc.constantFrom(...NAMES);

const metadata: fc.Arbitrary<JsonObject> = fc.letrec<{ object: JsonObject; value: Json }>(
  (tie) => ({
    object: fc.dictionary(names, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    value: fc.oneof(
      { maxDepth: 2, withCrossShrink: true },
      scalars,
      fc.array(fc.oneof(scalars, inner), { maxLength: 3 }),
      tie("object"),
    ),
  }),
).object;

const paths = fc.oneof(
  names,
  fc.tuple(names, names).map((pair) => pair.join(".")),
);
const operators: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.tuple(fc.constantFrom("$eq", "$ne", "$contains"), scalars).map(pairToObject),
  fc
    .tuple(fc.constantFrom("$gt", "$gte", "$lt", "$lte"), fc.oneof(texts, numbers))
    .map(pairToObject),
  fc.tuple(fc.constantFrom("$in", "$nin"), fc.array(scalars, { maxLength: 4 })).map(pairToObject),
  fc.tuple(fc.constant("$exists"), fc.boolean()).map(pairToObject),
);
const leaves: fc.Arbitrary<JsonObject> = fc
  .tuple(paths, fc.oneof(scalars, operators))
  .map(pairToObject);
const filters: fc.Arbitrary<JsonObject> = fc.letrec<{ filter: JsonObject }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaves,
    fc
      .tuple(
        fc.constantFrom("$and", "$or"),
        fc.array(tie("filter"), { minLength: 1, maxLength: 3 }),
      )
      .map(pairToObject),
    fc.tuple(fc.constant("$not"), tie("filter")).map(pairToObject),
  ),
})).filter;

function pairToObject([name, value]: [string, Json]): JsonObject {
  return { [name]: value };
}

/** A store with one document of one chunk for each metadata; `found` gives the indexes of those that match. */
async function storeOf(all: readonly JsonObject[]) {
  const dir = tempDir();
  const store = await LocalStore.open(dir.path, { fts5: true });
  const { key } = await store.createCollection(COLLECTION);
  const documents = all.map((one, index) => written(`d${index}`, "text", one));
  for (const slice of slicesOf(documents)) await store.writeDocuments(key, slice);
  const keys = (await store.pending({ after: 0, limit: all.length })).map((chunk) => chunk.key);
  return {
    async found(filter: unknown): Promise<number[]> {
      const chunks = await store.chunksMatching(key, parseFilter(filter));
      return keys.flatMap((chunk, index) => (chunks.has(chunk) ? [index] : []));
    },
    store,
    key,
    async [Symbol.asyncDispose](): Promise<void> {
      await store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

/** As JSON makes them, so that -0 is 0 as it is stored. */
const asStored = (one: JsonObject): JsonObject => JSON.parse(JSON.stringify(one));

describe("a filter over stored metadata", () => {
  test("finds what its rules say, for random documents and filters", async () => {
    const documents = fc.sample(metadata, { seed: SEED, numRuns: 150 }).map(asStored);
    await using all = await storeOf(documents);
    await fc.assert(
      fc.asyncProperty(filters, async (filter) => {
        const expected = documents.flatMap((one, index) => (matches(filter, one) ? [index] : []));
        expect(await all.found(filter)).toEqual(expected);
        const others = documents.flatMap((one, index) => (matches(filter, one) ? [] : [index]));
        expect(await all.found({ $not: filter })).toEqual(others);
      }),
      { seed: SEED, numRuns: 400 },
    );
  });

  test.each([
    ["a fraction", fc.double({ noNaN: true, noDefaultInfinity: true })],
    ["a whole number past 2^53", fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n }).map(Number)],
  ])("finds %s by itself, whatever the operator", async (_kind, arbitrary) => {
    const values = fc.sample(arbitrary, { seed: SEED, numRuns: 120 });
    await using all = await storeOf(values.map((value) => asStored({ n: value, list: [value] })));
    const missed: string[] = [];
    for (const [index, value] of values.entries()) {
      for (const operator of ["$eq", "$in", "$gte", "$lte", "$contains"]) {
        const field = operator === "$contains" ? "list" : "n";
        const operand = operator === "$in" ? [value] : value;
        if (!(await all.found({ [field]: { [operator]: operand } })).includes(index))
          missed.push(operator);
      }
    }
    expect([...new Set(missed)]).toEqual([]);
  });

  test("never takes true for 1, false for 0, or either for text", async () => {
    await using all = await storeOf([
      { wet: true },
      { wet: 1 },
      { wet: "true" },
      { wet: false },
      { wet: 0 },
      { wet: "false" },
      { wet: null },
      {},
    ]);
    expect(await all.found({ wet: true })).toEqual([0]);
    expect(await all.found({ wet: 1 })).toEqual([1]);
    expect(await all.found({ wet: "true" })).toEqual([2]);
    expect(await all.found({ wet: { $in: [false, 0] } })).toEqual([3, 4]);
    expect(await all.found({ wet: { $gte: 0 } })).toEqual([1, 4]);
    expect(await all.found({ wet: { $ne: true } })).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(await all.found({ wet: { $nin: [1, "false"] } })).toEqual([0, 2, 3, 4, 6, 7]);
  });

  test("tells null from missing", async () => {
    await using all = await storeOf([{ lap: null }, {}, { lap: 1 }, { car: { lap: null } }]);
    expect(await all.found({ lap: null })).toEqual([0]);
    expect(await all.found({ lap: { $exists: true } })).toEqual([0, 2]);
    expect(await all.found({ lap: { $exists: false } })).toEqual([1, 3]);
    expect(await all.found({ lap: { $ne: null } })).toEqual([1, 2, 3]);
    expect(await all.found({ "car.lap": null })).toEqual([3]);
    expect(await all.found({ "car.lap.x": { $exists: true } })).toEqual([]);
  });

  test("looks into lists with $contains only, and into text too", async () => {
    await using all = await storeOf([
      { tags: ["wet", 1, true, null] },
      { tags: "very wet" },
      { tags: [["wet"]] },
      { tags: { wet: "wet" } },
    ]);
    expect(await all.found({ tags: "wet" })).toEqual([]);
    expect(await all.found({ tags: { $contains: "wet" } })).toEqual([0, 1]);
    expect(await all.found({ tags: { $contains: 1 } })).toEqual([0]);
    expect(await all.found({ tags: { $contains: true } })).toEqual([0]);
    expect(await all.found({ tags: { $contains: null } })).toEqual([0]);
    expect(await all.found({ tags: { $contains: "we_" } })).toEqual([]);
    expect(await all.found({ "tags.0": { $exists: true } })).toEqual([]);
  });

  test("is the same in a page of documents, a count and a keyword search", async () => {
    const documents = fc.sample(metadata, { seed: SEED + 1, numRuns: 60 }).map(asStored);
    await using all = await storeOf(documents);
    const ids = documents.map((_, index) => `d${index}`);
    await fc.assert(
      fc.asyncProperty(filters, async (input) => {
        const filter = parseFilter(input);
        const expected = ids
          .filter((_, index) => matches(input, documents[index] ?? {}))
          .toSorted();
        const collectionKey = all.key;
        const page = await all.store.documents({ collectionKey, filter, limit: 1000 });
        expect(page.map(({ id }) => id)).toEqual(expected);
        expect(await all.store.countDocuments(collectionKey, filter)).toBe(expected.length);
        const search = { collectionKey, terms: ["text"], filter };
        expect(await all.store.keyword({ ...search, limit: 100 })).toHaveLength(expected.length);
        expect(await all.store.countKeyword(search)).toBe(expected.length);
        const rest = await all.store.documentsMatching(collectionKey, {
          filter,
          without: [],
          limit: 100,
        });
        expect(rest).toHaveLength(expected.length);
      }),
      { seed: SEED, numRuns: 60 },
    );
  });
});
