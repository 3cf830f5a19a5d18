import { expect, test } from "bun:test";
import { startEngines } from "../../../src/boot/engines.ts";
import { parseConfig } from "../../../src/config.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION, withVector } from "../store/fixtures.ts";

for (const engines of [0, 1]) {
  test(`what computes is the same to the features with ${engines} children`, async () => {
    using dir = tempDir();
    const config = parseConfig({
      DATA_DIR: dir.path,
      ENGINES: String(engines),
      VECTOR_INDEX: "exact",
      LOG_FORMAT: "json",
      LOG_LEVEL: "critical",
    });
    await using store = await LocalStore.open(dir.path);
    const collection = await store.createCollection(COLLECTION);
    await store.writeDocuments(collection.key, [withVector("a", [1, 0])]);
    await using starting = startEngines(config);
    const { engines: running, ...computing } = await starting.open(store);
    await using _running = running;
    const { hits } = await computing.search.search(collection, { vector: [1, 0] });
    expect(hits.map(({ id }) => id)).toEqual(["a"]);
    const { vectors, tokens } = await computing.embedTexts("static-256", ["red flag"]);
    expect([vectors.length, tokens]).toEqual([1, 2]);
    const inputs = [{ id: "b", text: "red flag" }];
    const embedded = { ...collection, model: "static-256", dimensions: 256 };
    const prepared = await computing.prepare(inputs, { collection: embedded, ids: ["b"] });
    expect(prepared).toMatchObject([{ ok: true, document: { id: "b" } }]);
    expect(computing.children === undefined).toBe(engines === 0);
  });
}

test("engines that were never opened end with what started them", async () => {
  using dir = tempDir();
  for (const ENGINES of ["0", "1"]) {
    const config = parseConfig({ DATA_DIR: dir.path, ENGINES, LOG_LEVEL: "critical" });
    await using _starting = startEngines(config);
  }
});
