import { expect, test } from "bun:test";
import { createDocumentKeys } from "../../../src/search/document-keys.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION, written } from "../store/fixtures.ts";

test("the documents of chunks are remembered, in the order asked for, and those that are gone are left out", async () => {
  using dir = tempDir();
  await using store = await LocalStore.open(dir.path);
  const { key } = await store.createCollection(COLLECTION);
  await store.writeDocuments(key, [written("a", "one"), written("b", "two")]);
  const [first = 0, second = 0] = await store.indexedKeys(key, {
    what: "text",
    after: 0,
    limit: 10,
  });
  let reads = 0;
  const counting = new Proxy(store, {
    get(target, name: keyof LocalStore) {
      if (name === "documentsOfChunks") reads++;
      return target[name];
    },
  });
  const documentKeys = createDocumentKeys(counting);
  const truth = await store.documentsOfChunks([first, second]);
  const wanted = [truth.get(second), undefined, truth.get(first), truth.get(second)];
  expect(await documentKeys([second, 999_999, first, second])).toEqual(wanted);
  expect(reads).toBeGreaterThan(0);
  reads = 0;
  expect(await documentKeys([second, first])).toEqual([truth.get(second), truth.get(first)]);
  expect(reads).toBe(0);
  // The same slot as the first one's: both are answered, whoever is kept.
  expect(await documentKeys([first, first + 131_072])).toEqual([truth.get(first), undefined]);
});
