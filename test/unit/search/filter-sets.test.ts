import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { createFilterSets } from "../../../src/search/filter-sets.ts";
import { parseFilter } from "../../../src/store/filter.ts";
import { openStore } from "../engine/fixtures.ts";
import { COLLECTION, withVector, written } from "../store/fixtures.ts";

const lap = (number: number) => parseFilter({ lap: number });

async function open() {
  const { store, ...rest } = await openStore();
  const { key } = await store.createCollection(COLLECTION);
  await store.writeDocuments(key, [
    written("a", "x", { lap: 1 }),
    written("b", "x", { lap: 2 }),
    { ...withVector("c", [1, 0]), metadata: { lap: 1 } },
  ]);
  return { ...rest, store, key, sets: createFilterSets(store) };
}

describe("the set of a filter", () => {
  test("holds the chunks that match, and is remembered", async () => {
    await using opened = await open();
    const { sets, key } = opened;
    const first = await sets.matching(key, lap(1));
    expect([...first]).toEqual([1, 3]);
    expect([...(await sets.matching(key, lap(2)))]).toEqual([2]);
    expect([...(await sets.matching(key, lap(3)))]).toEqual([]);
    // The very same set: nothing was read again.
    expect(await sets.matching(key, lap(1))).toBe(first);
  });

  test("is read again after a change of any document", async () => {
    await using opened = await open();
    const { sets, key, store } = opened;
    const before = await sets.matching(key, lap(1));
    await store.writeDocuments(key, [written("a", "x", { lap: 2 })]);
    expect([...(await sets.matching(key, lap(1)))]).toEqual([3]);
    expect([...before]).toEqual([1, 3]);
    await store.deleteDocuments(key, ["c"]);
    expect([...(await sets.matching(key, lap(1)))]).toEqual([]);
  });

  test("is kept while only vectors come", async () => {
    await using opened = await open();
    const { sets, key, store } = opened;
    const before = await sets.matching(key, lap(1));
    await store.writeVectors(key, [{ key: 1, vector: new Float32Array([1, 0]) }]);
    expect(await sets.matching(key, lap(1))).toBe(before);
  });

  test("is each collection's own", async () => {
    await using opened = await open();
    const { sets, key, store } = opened;
    const other = (await store.createCollection({ ...COLLECTION, name: "other" })).key;
    await store.writeDocuments(other, [written("a", "x", { lap: 1 })]);
    expect([...(await sets.matching(other, lap(1)))]).toEqual([4]);
    expect([...(await sets.matching(key, lap(1)))]).toEqual([1, 3]);
  });

  test("is forgotten where there are too many others, the one unused for longest first", async () => {
    await using opened = await open();
    const { sets, key } = opened;
    const unused = await sets.matching(key, lap(1));
    const used = await sets.matching(key, lap(2));
    for (let at = 0; at < limits.filterSetsMax - 1; at++) {
      await sets.matching(key, lap(100 + at));
      expect(await sets.matching(key, lap(2))).toBe(used);
    }
    const again = await sets.matching(key, lap(1));
    expect(again).not.toBe(unused);
    expect(again).toEqual(unused);
  });
});
