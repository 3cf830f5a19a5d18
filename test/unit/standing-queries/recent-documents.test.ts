import { expect, test } from "bun:test";
import { createAnalyser } from "../../../src/keyword/analyser.ts";
import { RecentDocuments } from "../../../src/standing-queries/recent-documents.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION, written } from "../store/fixtures.ts";

const RANGE = { after: 0, upTo: 100, limit: 100 };

test("changes are read once while they fit, and are what the store has", async () => {
  using dir = tempDir();
  await using store = await LocalStore.open(dir.path);
  const { key } = await store.createCollection(COLLECTION);
  const analyser = await createAnalyser("english");
  const source = { collectionKey: key, vectors: false, analyser };
  await store.writeDocuments(
    key,
    ["a", "b", "c", "d"].map((id) => written(id, `text ${id}`)),
  );
  await store.deleteDocuments(key, ["b"]);
  const recent = new RecentDocuments(store);
  const first = await recent.read(source, RANGE);
  const seen = first.changes.map(({ id, sequence, opened }) => [
    id,
    sequence,
    opened?.content.chunks[0]?.text,
  ]);
  expect(seen).toEqual([
    ["a", 1, "text a"],
    ["c", 3, "text c"],
    ["d", 4, "text d"],
    ["b", 5, undefined],
  ]);
  await store.writeDocuments(key, [written("c", "another text")]);
  const second = await recent.read(source, RANGE);
  expect(second.changes.map(({ id }) => id)).toEqual(["a", "d", "b", "c"]);
  expect(second.changes[0]?.opened).toBe(first.changes[0]?.opened);
  expect(second.changes[3]?.opened?.words().forms.has("anoth")).toBe(true);
  expect(await recent.read(source, { ...RANGE, limit: 2 })).toMatchObject({ upTo: 4 });
  const forgetful = new RecentDocuments(store, 1);
  const again = [await forgetful.read(source, RANGE), await forgetful.read(source, RANGE)];
  expect(again[0]?.changes.map(({ id }) => id)).toEqual(["a", "d", "b", "c"]);
  expect(again[1]?.changes[0]?.opened).not.toBe(again[0]?.changes[0]?.opened);
});
