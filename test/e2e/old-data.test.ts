import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openProgram } from "../../src/boot/program.ts";
import { parseConfig } from "../../src/config.ts";
import { CollectionSchema } from "../../src/contract/collections.ts";
import { VerifyReportSchema } from "../../src/contract/maintenance.ts";
import { SearchResultSchema } from "../../src/contract/search.ts";
import { migrateData, migrationStatus } from "../../src/store/local/migrate-data.ts";
import { SCHEMA_VERSION } from "../../src/store/local/migrations.ts";
import { OLD_VERSIONS, oldData } from "../support/old-data.ts";
import { shaped } from "../support/server.ts";

/** The program of today over a data directory, spoken to as over HTTP. */
async function openToday(dataDir: string) {
  const config = parseConfig({ DATA_DIR: dataDir, ENGINES: "0", DISK_FREE_MIN_MB: "0" });
  const program = await openProgram(config);
  return {
    async call(method: string, path: string, body?: unknown): Promise<unknown> {
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const headers = { "content-type": "application/json" };
      const request = new Request(`http://localhost/api/v1${path}`, { method, headers, ...sent });
      const text = await (await program.front.handle(request)).text();
      return text === "" ? undefined : JSON.parse(text);
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** What the kept data holds, asked for through the API; scripts/keep-data.ts put it in. */
async function expectWhole(dataDir: string): Promise<void> {
  await using today = await openToday(dataDir);
  const hits = async (collection: string, body: unknown) => {
    const answer = await today.call("POST", `/collections/${collection}/search`, body);
    return shaped(SearchResultSchema, answer).hits.map(({ id }) => id);
  };
  expect(await hits("rules", { query: "who decides when there is lightning" })).toEqual([
    "rain",
    "red",
  ]);
  expect(await hits("book", { query: "flags", mode: "keyword" })).toEqual(["red"]);
  expect(await hits("rules", { query: "struck", mode: "keyword" })).toEqual([]);
  expect(await hits("rules", { query: "session", filter: { page: 2 } })).toEqual(["rain"]);
  expect(await hits("own", { vector: [0, 1, 0, 0] })).toEqual(["north", "east"]);
  const rules = shaped(CollectionSchema, await today.call("GET", "/collections/rules"));
  expect(rules).toMatchObject({ documents: 2, pending_embeddings: 0, aliases: ["book"] });
  const report = shaped(VerifyReportSchema, await today.call("POST", "/admin/verify"));
  expect(report).toMatchObject({ ok: true });

  await today.call("POST", "/collections/rules/documents?wait=indexed", {
    documents: [{ id: "new", text: "A walrus on the track." }],
  });
  expect(await hits("rules", { query: "walrus", k: 1 })).toEqual(["new"]);
  await today.call("DELETE", "/collections/rules/documents/new");
}

test.each(OLD_VERSIONS)(
  "data of %s is found, searched and written by today's program",
  async (version) => {
    using data = oldData(version);
    const { schema } = migrationStatus(data.dataDir);
    await expectWhole(data.dataDir);
    expect(migrationStatus(data.dataDir).schema).toBe(SCHEMA_VERSION);
    expect(existsSync(join(data.dataDir, "backups"))).toBe(schema < SCHEMA_VERSION);
  },
);

test.each(OLD_VERSIONS)(
  "data of %s is whole after it went back as far as it goes, and up again",
  async (version) => {
    using data = oldData(version);
    await expectWhole(data.dataDir);
    migrateData(data.dataDir, () => 1);
    await expectWhole(data.dataDir);
  },
);
