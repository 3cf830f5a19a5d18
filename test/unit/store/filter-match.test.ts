import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { filterMatches } from "../../../src/store/filter-match.ts";
import { parseFilter } from "../../../src/store/filter.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { filterArbitrary, metadataArbitrary } from "../../http/filter-oracle.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION, slicesOf, written } from "./fixtures.ts";

const SEED = 20_260;

const isAfter = (wanted: string, value: string) =>
  filterMatches(parseFilter({ a: { $gt: wanted } }), { a: value });

describe("a filter over metadata in hand", () => {
  test("lets through what the store's own evaluation does", async () => {
    using dir = tempDir();
    await using store = await LocalStore.open(dir.path);
    const { key } = await store.createCollection(COLLECTION);
    const documents = fc
      .sample(metadataArbitrary, { seed: SEED, numRuns: 400 })
      .map((metadata, index) => written(`d${index}`, "text", { ...metadata }));
    for (const slice of slicesOf(documents)) await store.writeDocuments(key, slice);
    // As they come back from the store, which is how matching has them.
    const stored = await store.documents({ collectionKey: key, limit: 1000 });
    let some = 0;
    await fc.assert(
      fc.asyncProperty(filterArbitrary, async (input) => {
        const filter = parseFilter(input);
        const page = await store.documents({ collectionKey: key, filter, limit: 1000 });
        const here = stored.filter(({ metadata }) => filterMatches(filter, metadata));
        expect(here.map(({ id }) => id)).toEqual(page.map(({ id }) => id));
        if (page.length > 0 && page.length < documents.length) some++;
      }),
      { seed: SEED, numRuns: 600 },
    );
    expect(some).toBeGreaterThan(200);
  });

  test("orders text by code point and not by UTF-16", () => {
    expect(isAfter("\uffee", "😀")).toBe(true);
    expect(isAfter("😀", "\uffee")).toBe(false);
    expect(isAfter("a", "ab")).toBe(true);
    expect(isAfter("ab", "ab")).toBe(false);
  });
});
