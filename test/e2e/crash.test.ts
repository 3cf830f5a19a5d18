import { expect, test } from "bun:test";
import { CollectionSchema } from "../../src/contract/collections.ts";
import { DocumentSchema } from "../../src/contract/documents.ts";
import { MultiSearchResultSchema } from "../../src/contract/search.ts";
import { limits } from "../../src/limits.ts";
import {
  eventually,
  logged,
  logLines,
  startServerProgram,
  type ServerProgram,
} from "../support/process.ts";
import { shaped } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { distinctDocuments, keywordOf, seededRandom } from "./distinct-documents.ts";
import { openUpsert, type TestDocument } from "./upsert-client.ts";

const TEST_MS_MAX = 120_000;
const SEED = 20_271;
/** Hits among which a document must be when its own text is looked for. */
const TOP = 3;

interface Crash {
  model: string;
  kills: number;
  /** Documents of one round: more than are answered before the kill. */
  documents: number;
  /** The kill comes after a random number of answers up to this. */
  answersMax: number;
}

test.each<Crash>([
  { model: "static-256", kills: 5, documents: 1500, answersMax: 700 },
  { model: "all-MiniLM-L6-v2", kills: 1, documents: 500, answersMax: 80 },
])(
  `kill -9 in the middle of an ingest into $model, $kills times: nothing that was answered is lost (seed ${SEED})`,
  async ({ model, kills, documents, answersMax }) => {
    using dir = tempDir();
    const random = seededRandom(SEED);
    const document = distinctDocuments(random);
    const answered: TestDocument[] = [];
    for (let round = 0; round < kills; round++) {
      const start = Array.from({ length: documents }, (_, n) => document(`r${round}n${n}`));
      await using server = await startServerProgram("db", { cwd: dir.path });
      await createCollection(server, model);
      const answersWanted = 1 + Math.floor(random() * answersMax);
      const got = await ingestUntilKilled(server, start, { answersWanted, delayMs: random() * 20 });
      expect(got.length).toBeGreaterThanOrEqual(answersWanted);
      expect(got.length, "the kill came in the middle").toBeLessThan(documents);
      answered.push(...got);

      await using restarted = await startServerProgram("db", { cwd: dir.path });
      await expectAllFound(restarted, answered);
      restarted.signal("SIGTERM");
      expect(await restarted.exited).toBe(0);
    }
  },
  TEST_MS_MAX,
);

test(
  "the embedding process is killed in the middle of its work: the server answers and completes it",
  async () => {
    using dir = tempDir();
    // One engine of each kind, so that the one that is killed has the work.
    const env = { LOG_LEVEL: "debug", ENGINES: "1" };
    await using server = await startServerProgram("db", { cwd: dir.path, env });
    await createCollection(server, "all-MiniLM-L6-v2");
    const documents = Array.from({ length: 100 }, (_, n) => `n${n}`).map(
      distinctDocuments(seededRandom(SEED)),
    );
    const upsert = openUpsert(server.url, COLLECTION);
    for (const document of documents) upsert.send(document);
    upsert.end();
    await eventually("some documents have vectors and others wait for theirs", async () => {
      const pending = await pendingEmbeddings(server);
      return pending > 0 && pending < documents.length ? true : undefined;
    });
    const { pid } = await logged(server, "engine.child_started");
    process.kill(Number(pid), "SIGKILL");
    expect(await logged(server, "engine.child_lost")).toMatchObject({ pid, had_work: true });
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
    await expectAllFound(server, documents);
    const started = logLines(server).filter((line) => line["event"] === "engine.child_started");
    expect(started.length).toBe(2);
  },
  TEST_MS_MAX,
);

const COLLECTION = "log";

async function createCollection(server: ServerProgram, model: string): Promise<void> {
  const { status } = await post(server, "/api/v1/collections", { name: COLLECTION, model });
  // There from the second round on.
  expect([201, 409]).toContain(status);
}

/** Sends documents, kills the server while they are written, and resolves with those it has answered. */
async function ingestUntilKilled(
  server: ServerProgram,
  documents: readonly TestDocument[],
  { answersWanted, delayMs }: { answersWanted: number; delayMs: number },
): Promise<TestDocument[]> {
  const byId = new Map(documents.map((document) => [document.id, document]));
  const upsert = openUpsert(server.url, COLLECTION);
  for (const document of documents) upsert.send(document);
  const answered: TestDocument[] = [];
  for (let line = await upsert.next(); line !== undefined; line = await upsert.next()) {
    expect(line).toMatchObject({ status: "created" });
    const document = byId.get(line.id ?? "");
    if (document !== undefined) answered.push(document);
    // The moment of the kill is what is random here: it shall not always follow a commit.
    if (answered.length === answersWanted) setTimeout(() => server.signal("SIGKILL"), delayMs);
  }
  expect(await server.exited).toBe(128 + 9);
  return answered;
}

/** Every document is there by its id, by its word, and, when all have vectors, by its meaning. */
async function expectAllFound(
  server: ServerProgram,
  documents: readonly TestDocument[],
): Promise<void> {
  const lost: string[] = [];
  for (const { id, text } of documents) {
    const answer = await fetch(`${server.url}/api/v1/collections/${COLLECTION}/documents/${id}`);
    const state = answer.ok ? shaped(DocumentSchema, await answer.json()) : undefined;
    if (state?.text !== text) lost.push(`${id} by id`);
  }
  lost.push(...(await notFound(server, documents, "keyword")));
  await eventually("all documents have their vectors", async () =>
    (await pendingEmbeddings(server)) === 0 ? true : undefined,
  );
  lost.push(...(await notFound(server, documents, "semantic")));
  expect(lost).toEqual([]);
}

/** Documents that a search for their own word, or their own text, does not find; many searches a request. */
async function notFound(
  server: ServerProgram,
  documents: readonly TestDocument[],
  mode: "keyword" | "semantic",
): Promise<string[]> {
  const lost: string[] = [];
  for (let start = 0; start < documents.length; start += limits.searchesPerRequestMax) {
    const slice = documents.slice(start, start + limits.searchesPerRequestMax);
    const searches = slice.map(({ id, text }) => ({
      collection: COLLECTION,
      query: mode === "keyword" ? keywordOf(id) : text,
      mode,
      k: mode === "keyword" ? 1 : TOP,
    }));
    const answer = await post(server, "/api/v1/search/multi", { searches });
    const { results } = shaped(MultiSearchResultSchema, await answer.json());
    for (const [index, { id }] of slice.entries()) {
      const isFound = results[index]?.hits.some((hit) => hit.id === id) ?? false;
      if (!isFound) lost.push(`${id} by ${mode} search`);
    }
  }
  return lost;
}

async function pendingEmbeddings(server: ServerProgram): Promise<number> {
  const answer = await fetch(`${server.url}/api/v1/collections/${COLLECTION}`);
  return shaped(CollectionSchema, await answer.json()).pending_embeddings;
}

function post(server: ServerProgram, path: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(server.url + path, { method: "POST", body: JSON.stringify(body), headers });
}
