import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import {
  IngestRunSchema,
  JobErrorSchema,
  JobSchema,
  type JobDescription,
} from "../../src/contract/jobs.ts";
import { pageOf } from "../../src/contract/shared.ts";
import { eventually } from "../support/process.ts";
import { jobEnded, jobOf, readJob, uploadFiles, type Files } from "../support/jobs.ts";
import { shaped, startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { expectProblem, idsOf, read, readDocument, readDocuments } from "./answers.ts";

const FILES = "/api/v1/collections/notes/files";
const DOCUMENTS = "/api/v1/collections/notes/documents";

let dir: ReturnType<typeof tempDir>;
let server: TestServer;

beforeAll(async () => {
  dir = tempDir();
  server = await startServer({ env: { DATA_DIR: dir.path } });
  await server.call("POST /api/v1/collections", { name: "notes" });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

const upload = (files: Files, query = "") => uploadFiles(server.url, FILES + query, files);

async function ingested(files: Files) {
  const job = await jobOf(await upload(files));
  return jobEnded(server.url, job.id);
}

/** An answer as `server.call` gives it, of a request that it cannot send. */
async function answerOf(response: Response) {
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: JSON.parse(text) };
}

describe("files into a collection", () => {
  test("every kind that can be read becomes documents, by a job that says how far it is", async () => {
    const job = await jobOf(
      await upload({
        "flags.md": "# Flags\n\nA red flag stops the session.",
        "notes/pits.txt": "The pit lane has a speed limit.",
        "page.html": "<title>Tyres</title><p>Soft tyres are fast.</p>",
        "rows.csv": "id,text\nr1,first row\nr2,second row\n",
        "lines.jsonl": '{"id":"l1","text":"one"}\n{"id":"l2","text":"two"}\n',
      }),
    );
    expect(job).toMatchObject({
      kind: "ingest",
      collection: "notes",
      progress: { total: 7, unit: "documents" },
    });
    const ended = await jobEnded(server.url, job.id);
    expect(ended).toMatchObject({
      state: "succeeded",
      progress: { done: 7, total: 7 },
      attempts: 1,
      errors: 0,
      error: null,
      result: { files: 5, documents: 7, failed: 0 },
    });
    const { items } = readDocuments(await server.call(`GET ${DOCUMENTS}?limit=100`));
    expect(items.map(({ id }) => id)).toEqual(
      expect.arrayContaining(["flags.md", "notes/pits.txt", "page.html", "r1", "r2", "l1", "l2"]),
    );
    const hits = idsOf(
      await server.call("POST /api/v1/collections/notes/search", {
        query: "speed limit",
        mode: "keyword",
      }),
    );
    expect(hits).toEqual(["notes/pits.txt"]);
  });

  test("nothing of the files is left when the job has ended", async () => {
    await ingested({ "gone.md": "text" });
    await eventually("the files are gone", () =>
      readdirSync(join(dir.path, "uploads")).length === 0 ? true : undefined,
    );
  });

  test("what cannot be taken is told with its file and line, and the rest is taken", async () => {
    const job = await ingested({
      "bad.jsonl": '{"id":"good","text":"yes"}\nnot json\n{"id":"x","text":"y","title":5}\n',
      "broken.txt": new Uint8Array([0xff, 0xfe, 0xfa]),
      "long.csv": "id,text\nlong,\u0000\n",
    });
    expect(job).toMatchObject({
      state: "succeeded",
      errors: 4,
      result: { documents: 1, failed: 4 },
    });
    expect(job.first_errors.map(({ source, line }) => [source, line])).toEqual([
      ["bad.jsonl", 2],
      ["bad.jsonl", 3],
      ["broken.txt", null],
      ["long.csv", 2],
    ]);
    const page = await server.call(`GET /api/v1/jobs/${job.id}/errors?limit=3`);
    const first = read(pageOf(JobErrorSchema), page);
    const next = await server.call(`GET /api/v1/jobs/${job.id}/errors?cursor=${first.next_cursor}`);
    const { items, next_cursor } = read(pageOf(JobErrorSchema), next);
    expect([...first.items, ...items]).toEqual(job.first_errors);
    expect(next_cursor).toBeNull();
  });

  test("a job of which nothing could be taken has failed", async () => {
    const job = await ingested({ "none.txt": "  \n" });
    expect(job).toMatchObject({
      state: "failed",
      error: { code: "invalid_request" },
      first_errors: [{ source: "none.txt", message: "is empty" }],
    });
  });

  test("the same file again replaces its document", async () => {
    await ingested({ "twice.txt": "before" });
    await ingested({ "twice.txt": "after" });
    const document = readDocument(await server.call(`GET ${DOCUMENTS}/twice.txt`));
    expect(document.text).toBe("after");
  });

  test("jobs of one run are counted together, and a run that is finished takes no more", async () => {
    const first = await jobOf(await upload({ "a.txt": "one" }, "?run=batch-1&priority=high"));
    expect(first).toMatchObject({ run_id: "batch-1", priority: "high" });
    await jobEnded(server.url, first.id);
    const run = await server.call("GET /api/v1/ingest-runs/batch-1");
    expect(read(IngestRunSchema, run)).toMatchObject({
      state: "finished",
      collection: "notes",
      documents: 1,
      jobs: { succeeded: 1 },
    });
    const more = await upload({ "b.txt": "two" }, "?run=batch-1");
    expectProblem(await answerOf(more), 409, "job_state");
    expect(readdirSync(join(dir.path, "uploads"))).toEqual([]);
    expectProblem(await server.call("GET /api/v1/ingest-runs/none"), 404, "job_not_found");
  });

  test("a job keeps the id of its request", async () => {
    const form = new FormData();
    form.append("file", new File(["x"], "x.md"));
    const headers = { "x-request-id": "from-me" };
    const job = await jobOf(
      await fetch(server.url + FILES, { method: "POST", body: form, headers }),
    );
    expect(job.request_id).toBe("from-me");
    await jobEnded(server.url, job.id);
  });
});

const refused = async (files: Files, status: number, code: Parameters<typeof expectProblem>[2]) => {
  const problem = expectProblem(await answerOf(await upload(files)), status, code);
  expect(readdirSync(join(dir.path, "uploads"))).toEqual([]);
  return problem;
};

describe("uploads that are refused", () => {
  test("a file of a kind that cannot be read", async () => {
    const files = { "a.txt": "fine", "paper.pdf": "%PDF" };
    const { detail } = await refused(files, 415, "unsupported_media_type");
    expect(detail).toContain("paper.pdf");
  });

  test("a form without files, and one that is cut off", async () => {
    await refused({}, 400, "invalid_request");
    const headers = { "content-type": "multipart/form-data; boundary=b" };
    for (const body of [
      "--b\r\n",
      '--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx',
      "x",
    ]) {
      expectProblem(await server.call(`POST ${FILES}`, body, headers), 400, "invalid_request");
    }
  });

  test("a field that is no file, and a body that is no form", async () => {
    const headers = { "content-type": "multipart/form-data; boundary=b" };
    const field = '--b\r\nContent-Disposition: form-data; name="priority"\r\n\r\nhigh\r\n--b--\r\n';
    expectProblem(await server.call(`POST ${FILES}`, field, headers), 400, "invalid_request");
    expectProblem(await server.call(`POST ${FILES}`, {}), 415, "unsupported_media_type");
  });

  test("two files of one name, and a collection that is not there", async () => {
    const form = new FormData();
    for (const text of ["one", "two"]) form.append("file", new File([text], "same.txt"));
    const answer = await fetch(server.url + FILES, { method: "POST", body: form });
    expectProblem(await answerOf(answer), 400, "invalid_request");
    const nowhere = await uploadFiles(server.url, "/api/v1/collections/none/files", {
      "a.md": "a",
    });
    expectProblem(await answerOf(nowhere), 404, "collection_not_found");
  });
});

describe("jobs", () => {
  test("are listed the newest first, by state and kind, in pages", async () => {
    const job = await ingested({ "listed.md": "x" });
    const backup = await jobOf(await fetch(`${server.url}/api/v1/backups`, { method: "POST" }));
    await jobEnded(server.url, backup.id);
    const list = async (query: string) =>
      read(pageOf(JobSchema), await server.call(`GET /api/v1/jobs${query}`));
    const first = await list("?limit=1");
    expect(first.items.map(({ id }) => id)).toEqual([backup.id]);
    const second = await list(`?limit=1&cursor=${first.next_cursor}`);
    expect(second.items.map(({ id }) => id)).toEqual([job.id]);
    const kinds = (await list("?kind=ingest&state=succeeded")).items.map(({ kind }) => kind);
    expect(new Set(kinds)).toEqual(new Set(["ingest"]));
    expect((await list("?state=running")).items).toEqual([]);
  });

  test("a job that has ended cannot be cancelled, and one that is not there cannot be found", async () => {
    const job = await ingested({ "ended.md": "x" });
    expectProblem(await server.call(`POST /api/v1/jobs/${job.id}/cancel`), 409, "job_state");
    expectProblem(await server.call("GET /api/v1/jobs/none"), 404, "job_not_found");
    expectProblem(await server.call("POST /api/v1/jobs/none/cancel"), 404, "job_not_found");
    expectProblem(await server.call("GET /api/v1/jobs/none/errors"), 404, "job_not_found");
  });

  test("a running job that is cancelled ends soon, and keeps what it has done", async () => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `{"id":"c${index}","text":"t"}`);
    const job = await jobOf(await upload({ "many.jsonl": lines.join("\n") }));
    const cancelled = await server.call(`POST /api/v1/jobs/${job.id}/cancel`);
    expect(cancelled.status).toBe(200);
    const ended = await jobEnded(server.url, job.id);
    expect(ended).toMatchObject({ state: "cancelled", cancelling: false, error: null });
    expect(ended.progress.done).toBeLessThan(20_000);
    // Once more changes nothing.
    const again = await server.call(`POST /api/v1/jobs/${job.id}/cancel`);
    expect(read(JobSchema, again).state).toBe("cancelled");
  });

  test("how a job is goes to the room of its name, which keeps no past", async () => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `{"id":"w${index}","text":"t"}`);
    const { id } = await jobOf(await upload({ "watched.jsonl": lines.join("\n") }));
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/live`);
    const told: JobDescription[] = [];
    const { promise: ended, resolve: hasEnded } = Promise.withResolvers<void>();
    socket.addEventListener("message", ({ data }: MessageEvent<string>) => {
      const frame: { type: string; data: JobDescription } = JSON.parse(data);
      if (frame.type === "welcome")
        socket.send(JSON.stringify({ type: "subscribe", id: "s", room: `jobs:${id}` }));
      if (frame.type !== "message") return;
      told.push(frame.data);
      if (told.length === 1) void server.call(`POST /api/v1/jobs/${id}/cancel`);
      if (frame.data.state === "cancelled") hasEnded();
    });
    await ended;
    socket.close();
    expect(told[0]).toMatchObject({ id, state: "running", progress: { total: 20_000 } });
    expect(told.at(-1)).toEqual(shaped(JobSchema, told.at(-1)));
    const settings = await server.call(`GET /api/v1/rooms/jobs:${id}`);
    expect(settings.json).toMatchObject({ history_messages: 0 });
    expect((await server.call("GET /api/v1/rooms")).text).not.toContain("jobs:");
  });
});

describe("reindex and compaction as jobs", () => {
  test("index files are made anew from the database and find everything again", async () => {
    await ingested({ "anew.md": "# Anew\n\nPistachio marmalade." });
    const answer = await fetch(`${server.url}/api/v1/collections/notes/reindex`, {
      method: "POST",
    });
    const job = await jobEnded(server.url, (await jobOf(answer)).id);
    expect(job).toMatchObject({ kind: "reindex", state: "succeeded", result: { problems: [] } });
    const search = await server.call("POST /api/v1/collections/notes/search", {
      query: "pistachio marmalade",
      k: 1,
    });
    expect(idsOf(search)).toEqual(["anew.md"]);
    const verified = await server.call("POST /api/v1/admin/verify");
    expect(verified.json).toMatchObject({ ok: true });
  });

  test("compaction answers with its report, or at once with a job", async () => {
    const now = await server.call("POST /api/v1/admin/compact");
    expect(now).toMatchObject({ status: 200, json: { collections: 1 } });
    const answer = await fetch(`${server.url}/api/v1/admin/compact?as=job`, { method: "POST" });
    const job = await jobEnded(server.url, (await jobOf(answer)).id);
    expect(job).toMatchObject({
      kind: "compaction",
      state: "succeeded",
      progress: { done: 1, total: 1 },
      result: { collections: 1 },
    });
    expect(existsSync(join(dir.path, "index"))).toBe(true);
  });
});

describe("a server that stops", () => {
  test("puts an ingest back, and the next one goes on where it was", async () => {
    using own = tempDir();
    const env = { DATA_DIR: own.path, DRAIN_TIMEOUT: "0" };
    const lines = Array.from({ length: 5000 }, (_, index) => `{"id":"s${index}","text":"t"}`);
    let id = "";
    {
      await using first = await startServer({ env });
      await first.call("POST /api/v1/collections", { name: "notes" });
      const files = { "many.jsonl": lines.join("\n") };
      ({ id } = await jobOf(await uploadFiles(first.url, FILES, files)));
      await eventually("some are written", async () => {
        const { progress } = await readJob(first.url, id);
        return progress.done > 0 ? true : undefined;
      });
      await first.stop();
    }
    await using next = await startServer({ env });
    const ended = await jobEnded(next.url, id);
    expect(ended).toMatchObject({ state: "succeeded", attempts: 1, result: { documents: 5000 } });
    const state = await next.call("GET /api/v1/collections/notes");
    expect(state.json).toMatchObject({ documents: 5000 });
  });

  test("leaves jobs that wait, and one whose collection is gone fails in the next", async () => {
    using own = tempDir();
    let id = "";
    {
      await using idle = await startServer({ env: { DATA_DIR: own.path, JOB_WORKERS: "0" } });
      await idle.call("POST /api/v1/collections", { name: "notes" });
      ({ id } = await jobOf(await uploadFiles(idle.url, FILES, { "a.md": "text" })));
      await idle.call("DELETE /api/v1/collections/notes");
      // Another one of the same name is not the one that the files were for.
      await idle.call("POST /api/v1/collections", { name: "notes" });
    }
    await using next = await startServer({ env: { DATA_DIR: own.path } });
    const ended = await jobEnded(next.url, id);
    expect(ended).toMatchObject({ state: "failed", error: { code: "collection_not_found" } });
  });
});
