import { expect, test } from "bun:test";
import { remoteSearch } from "../../../src/boot/remote-search.ts";
import { createCollectionReads } from "../../../src/collections/collections.ts";
import { createAnswerer } from "../../../src/http/answer.ts";
import { createDirectSearch } from "../../../src/http/direct-search.ts";
import { createQueryApp } from "../../../src/http/app.ts";
import { createSearch } from "../../../src/search/search.ts";
import { numbered, openWorld, WORLD, write } from "../engine/world.ts";
import { tempDir } from "../../support/temp-dir.ts";

test("a search in an engine gives the value that it gives here, or throws its problem", async () => {
  using dir = tempDir();
  await using world = await openWorld(dir.path);
  const { store, engine } = world;
  const collection = await store.createCollection(WORLD);
  await write(store, collection, [numbered(1), numbered(2)]);
  const here = createSearch({ store, engine, kDefault: 10 });
  const collections = createCollectionReads(store);
  const app = createQueryApp({
    collections,
    search: here,
    embedTexts: async () => ({ vectors: [], tokens: 0 }),
  });
  const direct = createDirectSearch({ collections, search: here });
  const answer = createAnswerer((request) => app.fetch(request), direct);
  const remote = remoteSearch({ answer }, { requestId: () => "a-test" });
  const request = { query: "only1x", mode: "keyword" as const };
  const [found, wanted] = [
    await remote.search(collection, request),
    await here.search(collection, request),
  ];
  expect({ ...found, took_ms: 0 }).toEqual({ ...wanted, took_ms: 0 });
  expect(found.hits.map(({ id }) => id)).toEqual(["d1"]);
  expect(remote.search(collection, { query: " " })).rejects.toMatchObject({ code: "empty_text" });
  expect(remote.search({ ...collection, name: "other" }, request)).rejects.toMatchObject({
    code: "collection_not_found",
  });
});
