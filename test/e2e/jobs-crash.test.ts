import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pageOf } from "../../src/contract/shared.ts";
import { DocumentSchema } from "../../src/contract/documents.ts";
import { IngestRunSchema } from "../../src/contract/jobs.ts";
import { jobEnded, jobOf, readJob, uploadFiles } from "../support/jobs.ts";
import {
  eventually,
  logLines,
  startServerProgram,
  type ServerProgram,
} from "../support/process.ts";
import { shaped } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

const LINES = 6000;
const KILLS = 3;
const COLLECTION = "/api/v1/collections/lines";

const env = { ENGINES: "1", EMBEDDING_MODEL_NAME: "static-256", DRAIN_TIMEOUT: "0" };

const linesOf = (file: string): string =>
  Array.from({ length: LINES }, (_, line) =>
    // One in a thousand is no document.
    line % 1000 === 500 ? "bad" : JSON.stringify({ id: `${file}-${line}`, text: `lap ${line}` }),
  ).join("\n");

/** Every document of the collection, with its change number. */
async function allDocuments({ url }: ServerProgram) {
  const found: { id: string; sequence: number }[] = [];
  for (let cursor = ""; ;) {
    const answer = await fetch(`${url}${COLLECTION}/documents?limit=1000&cursor=${cursor}`);
    const page = shaped(pageOf(DocumentSchema), await answer.json());
    found.push(...page.items);
    if (page.next_cursor === null) return found;
    cursor = page.next_cursor;
  }
}

test(`an ingest of ${2 * LINES} lines ends with every document once, though the server is killed ${KILLS} times in its midst and stopped once`, async () => {
  using dir = tempDir();
  const options = { cwd: dir.path, env };
  let id = "";
  let run = "";
  let done = 0;
  for (let life = 0; life <= KILLS; life++) {
    await using server = await startServerProgram("db", options);
    if (life === 0) {
      const body = JSON.stringify({ name: "lines" });
      const headers = { "content-type": "application/json" };
      await fetch(`${server.url}/api/v1/collections`, { method: "POST", body, headers });
      const files = { "a.jsonl": linesOf("a"), "b.jsonl": linesOf("b") };
      const job = await jobOf(await uploadFiles(server.url, `${COLLECTION}/files`, files));
      id = job.id;
      run = job.run_id ?? "";
    }
    const further = await eventually("the job got further", async () => {
      const job = await readJob(server.url, id);
      return job.progress.done > done + 500 ? job : undefined;
    });
    expect(further.state).toBe("running");
    done = further.progress.done;
    server.signal(life === KILLS ? "SIGTERM" : "SIGKILL");
    await server.exited;
  }
  await using server = await startServerProgram("db", options);
  const ended = await jobEnded(server.url, id);
  const documents = 2 * (LINES - LINES / 1000);
  expect(ended).toMatchObject({
    state: "succeeded",
    progress: { done: 2 * LINES, total: 2 * LINES },
    errors: 2 * (LINES / 1000),
    result: { files: 2, documents, failed: 2 * (LINES / 1000) },
  });
  expect(ended.first_errors.map(({ source, line }) => `${source}:${line}`)).toEqual(
    ["a.jsonl", "b.jsonl"].flatMap((file) =>
      Array.from({ length: LINES / 1000 }, (_, index) => `${file}:${index * 1000 + 501}`),
    ),
  );
  const found = await allDocuments(server);
  expect(found).toHaveLength(documents);
  // None was written twice: there are as many changes as documents.
  expect(Math.max(...found.map(({ sequence }) => sequence))).toBe(documents);
  const answer = await fetch(`${server.url}/api/v1/ingest-runs/${run}`);
  expect(shaped(IngestRunSchema, await answer.json())).toMatchObject({
    state: "finished",
    documents,
  });
  const lines = logLines(server).filter((line) => line["job_id"] === id);
  expect(lines.map((line) => line["event"])).toEqual(
    expect.arrayContaining(["job.started", "job.ended"]),
  );
  expect(ended.request_id).not.toBeNull();
  // The request was answered four lives ago, and the lines still say which one it was.
  expect(new Set(lines.map((line) => line["request_id"]))).toEqual(new Set([ended.request_id]));
  await eventually("the files are gone", () =>
    readdirSync(join(dir.path, "db", "uploads")).length === 0 ? true : undefined,
  );
}, 120_000);
