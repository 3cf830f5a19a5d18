import { expect, test } from "bun:test";
import { join } from "node:path";
import { VerifyReportSchema } from "../../src/contract/maintenance.ts";
import { SearchResultSchema } from "../../src/contract/search.ts";
import { ProblemSchema } from "../../src/contract/shared.ts";
import { jobEnded, jobOf, readJob } from "../support/jobs.ts";
import { embeddedByOtherWeights } from "../support/other-weights.ts";
import { eventually, startServerProgram, type ServerProgram } from "../support/process.ts";
import { shaped } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

const DOCUMENTS = 6000;
const KILLS = 3;
const COLLECTION = "/api/v1/collections/laps";
const WORDS = ["flag", "tyre", "rain", "engine", "pit", "lap", "driver", "steward", "fuel", "grid"];

const env = { ENGINES: "1", EMBEDDING_MODEL_NAME: "static-256", DRAIN_TIMEOUT: "0" };

const textOf = (number: number): string =>
  [0, 1, 2, 3].map((place) => WORDS[Math.floor(number / 10 ** place) % 10]).join(" and ") +
  ` number${number}`;

async function post({ url }: ServerProgram, path: string, body?: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers };
  return fetch(`${url}${path}`, { method: "POST", ...sent });
}

async function hits(server: ServerProgram, query: string, mode: string): Promise<unknown[]> {
  const answer = await post(server, `${COLLECTION}/search`, { query, mode, k: 20 });
  const found = shaped(SearchResultSchema, await answer.json());
  return found.hits.map(({ id, score }) => (mode === "keyword" ? id : [id, score.toFixed(5)]));
}

async function byMeaning(server: ServerProgram): Promise<unknown[]> {
  const found = [];
  for (const number of [3, 777, 2345, 5999]) {
    found.push(await hits(server, textOf(number).slice(0, 24), "semantic"));
  }
  return found;
}

/** Documents that other weights have embedded, and what is found by meaning in those that were not. */
async function prepare(options: { cwd: string; env: typeof env }): Promise<unknown[]> {
  await using server = await startServerProgram("db", options);
  await post(server, "/api/v1/collections", { name: "laps" });
  for (let start = 0; start < DOCUMENTS; start += 1000) {
    const documents = Array.from({ length: 1000 }, (_, place) => {
      const number = start + place;
      return { id: `d${number}`, text: textOf(number) };
    });
    await post(server, `${COLLECTION}/documents?wait=indexed`, { documents });
  }
  const fresh = await byMeaning(server);
  server.signal("SIGTERM");
  await server.exited;
  embeddedByOtherWeights(join(options.cwd, "db"));
  return fresh;
}

test(`a collection is embedded again to its end, though the server is killed ${KILLS} times in its midst and stopped once`, async () => {
  using dir = tempDir();
  const options = { cwd: dir.path, env };
  const fresh = await prepare(options);
  let id = "";
  let done = 0;
  for (let life = 0; life <= KILLS; life++) {
    await using server = await startServerProgram("db", options);
    if (life === 0) id = (await jobOf(await post(server, `${COLLECTION}/reindex?embed=all`))).id;
    const further = await eventually("the job got further", async () => {
      const job = await readJob(server.url, id);
      return job.progress.done > done + 300 ? job : undefined;
    });
    expect(further).toMatchObject({ state: "running", progress: { total: DOCUMENTS } });
    done = further.progress.done;
    // What was written before is found by its words, and nothing by meaning, in each life.
    expect(await hits(server, "number4321", "keyword")).toEqual(["d4321"]);
    const refused = await post(server, `${COLLECTION}/search`, { query: "rain", mode: "semantic" });
    expect(shaped(ProblemSchema, await refused.json()).code).toBe("model_mismatch");
    await post(server, `${COLLECTION}/documents`, {
      documents: [{ id: `life${life}`, text: `marmalade of life ${life}` }],
    });
    server.signal(life === KILLS ? "SIGTERM" : "SIGKILL");
    await server.exited;
  }
  await using server = await startServerProgram("db", options);
  expect(await jobEnded(server.url, id)).toMatchObject({
    state: "succeeded",
    progress: { done: DOCUMENTS, total: DOCUMENTS },
    result: { problems: [] },
  });
  await post(server, `${COLLECTION}/documents?wait=indexed`, {
    documents: [{ id: "last", text: "marmalade at last" }],
  });
  expect(await byMeaning(server)).toEqual(fresh);
  const written = new Set(await hits(server, "marmalade", "keyword"));
  expect(written).toEqual(new Set(["last", "life0", "life1", "life2", "life3"]));
  expect(await hits(server, "marmalade of life 2", "semantic")).toHaveLength(20);
  const verified = shaped(
    VerifyReportSchema,
    await (await post(server, "/api/v1/admin/verify")).json(),
  );
  expect(verified).toMatchObject({
    ok: true,
    collections: [{ chunks: DOCUMENTS + KILLS + 2, vectors: DOCUMENTS + KILLS + 2 }],
  });
}, 120_000);
