import { Type } from "@sinclair/typebox";
import { expect, test } from "bun:test";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CollectionSchema, type CollectionState } from "../../src/contract/collections.ts";
import {
  eventually,
  logged,
  logLines,
  runProgram,
  startProgram,
  startServerProgram,
  type RunningProgram,
  type StartOptions,
} from "../support/process.ts";
import { shaped } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { openUpsert, type UpsertClient } from "./upsert-client.ts";

const TEST_MS_MAX = 60_000;
const ENV = { EMBEDDING_MODEL_NAME: "static-256" };

function post(url: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(url, { method: "POST", body: JSON.stringify(body), headers });
}

/** A streaming upsert of which one document was answered and whose body has not ended. */
async function openUnfinished(url: string): Promise<UpsertClient> {
  await post(`${url}/api/v1/collections`, { name: "documents" });
  const upsert = openUpsert(url, "documents");
  upsert.send({ id: "before", text: "Sent before the signal." });
  expect(await upsert.next()).toMatchObject({ id: "before", status: "created" });
  return upsert;
}

test(
  "SIGTERM: the running request is finished, new ones are refused, the exit code is 0 and every line of the log is JSON",
  async () => {
    using dir = tempDir();
    await using server = await startServerProgram("db", { cwd: dir.path, env: ENV });
    const upsert = await openUnfinished(server.url);
    server.signal("SIGTERM");
    await logged(server, "app.stopping");
    const refused = await fetch(`${server.url}/version`);
    expect([refused.status, await refused.json()]).toEqual([
      503,
      expect.objectContaining({ code: "not_ready" }),
    ]);
    expect((await fetch(`${server.url}/health/ready`)).status).toBe(503);
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
    upsert.send({ id: "after", text: "Sent after the signal." });
    expect(await upsert.next()).toMatchObject({ id: "after", status: "created" });
    upsert.end();
    expect(await upsert.next()).toMatchObject({ done: true, upserted: 2, failed: 0 });
    expect(await upsert.next()).toBeUndefined();
    expect(await server.exited).toBe(0);

    expect(server.stderr()).toBe("");
    expect(server.stdout()).toEndWith("\n");
    const lines = logLines(server);
    for (const line of lines) {
      expect(Object.keys(line)).toEqual(
        expect.arrayContaining(["timestamp", "level", "logger", "event", "app_name", "version"]),
      );
    }
    const events = lines.map((line) => line["event"]);
    expect(events[0]).toBe("app.starting");
    expect(events).toEqual(expect.arrayContaining(["app.started", "process.signal"]));
    expect(lines.at(-1)).toMatchObject({ event: "app.stopped", drained: true });
    expect(existsSync(join(dir.path, "db", "holder.json"))).toBe(false);
  },
  TEST_MS_MAX,
);

test(
  "SIGTERM: an upsert that waits for its embeddings is answered",
  async () => {
    using dir = tempDir();
    await using server = await startServerProgram("db", { cwd: dir.path });
    await post(`${server.url}/api/v1/collections`, { name: "documents" });
    const sent = ["The marshal waves a flag.", "It rains."].map((text) => ({ text }));
    const path = "/api/v1/collections/documents/documents";
    // The transformer has to be loaded first, which takes longer than the signal.
    const upsert = post(`${server.url}${path}?wait=indexed`, { documents: sent });
    await eventually("the upsert has begun", () =>
      logLines(server).some((line) => line["event"] === "request_started" && line["path"] === path)
        ? true
        : undefined,
    );
    // As systemd does it: to every process of the service, the embedding process too.
    server.signalGroup("SIGTERM");
    const answer = await upsert;
    expect([answer.status, await answer.json()]).toEqual([
      200,
      expect.objectContaining({ upserted: 2, pending_embeddings: 0 }),
    ]);
    expect(await server.exited).toBe(0);
  },
  TEST_MS_MAX,
);

test(
  "a request that does not end is left after DRAIN_TIMEOUT, and what it was answered is kept",
  async () => {
    using dir = tempDir();
    const env = { ...ENV, DRAIN_TIMEOUT: "0" };
    await using first = await startServerProgram("db", { cwd: dir.path, env });
    await openUnfinished(first.url);
    first.signal("SIGTERM");
    await first.exited;
    expect(logLines(first).at(-1)).toMatchObject({ event: "app.stopped", drained: false });
    await using second = await startServerProgram("db", { cwd: dir.path, env });
    const path = "/api/v1/collections/documents/documents/before";
    expect((await fetch(second.url + path)).status).toBe(200);
  },
  TEST_MS_MAX,
);

test.each([
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const)(
  "a second signal, %s, ends the server within a second, with %d",
  async (signal, code) => {
    using dir = tempDir();
    const env = { ...ENV, DRAIN_TIMEOUT: "3600" };
    await using server = await startServerProgram("db", { cwd: dir.path, env });
    await openUnfinished(server.url);
    server.signal("SIGTERM");
    await logged(server, "app.stopping");
    const start = performance.now();
    server.signal(signal);
    expect(await server.exited).toBe(code);
    expect(performance.now() - start).toBeLessThan(1000);
  },
  TEST_MS_MAX,
);

/** Enough documents that an ingest takes a second or more. */
const DOCUMENTS = 5000;

/** A file of one-chunk documents. `filler` makes each so many bytes longer. */
function writeDocuments(folder: string, { filler = 0 }: { filler?: number } = {}): void {
  const metadata = filler === 0 ? {} : { filler: "x".repeat(filler) };
  const lines = Array.from({ length: DOCUMENTS }, (_, index) => {
    const text = `Entry ${index} of the stewards' log, lap ${index % 70}.`;
    return `${JSON.stringify({ id: `d${index}`, text, metadata })}\n`;
  });
  writeFileSync(join(folder, "log.jsonl"), lines.join(""));
}

test(
  "Ctrl-C in the middle of an ingest keeps what was committed and says so, and the next run completes",
  async () => {
    using dir = tempDir();
    writeDocuments(dir.path);
    const options = { cwd: dir.path, env: { ...ENV, DATA_DIR: "db" } };
    await using ingest = startProgram(["ingest", "log.jsonl"], options);
    const wal = join(dir.path, "db", "slipstream.db-wal");
    // The schema alone takes less than this, and all documents take more.
    await eventually("some documents are committed", () =>
      existsSync(wal) && statSync(wal).size > 1_000_000 ? true : undefined,
    );
    ingest.signalGroup("SIGINT");
    const committed = await interrupted(ingest);
    expect(committed).toBeGreaterThan(0);
    expect((await documents(options)).documents).toBe(committed);

    expect((await runProgram(["ingest", "log.jsonl"], options)).exitCode).toBe(0);
    expect(await documents(options)).toMatchObject({
      documents: DOCUMENTS,
      chunks: DOCUMENTS,
      pending_embeddings: 0,
    });
  },
  TEST_MS_MAX,
);

test(
  "Ctrl-C in the middle of an ingest to a server leaves the server up and what it answered in place",
  async () => {
    using dir = tempDir();
    // What the sockets between the two hold is sent and will be committed, so there must be more than that.
    writeDocuments(dir.path, { filler: 10_000 });
    const options = { cwd: dir.path, env: { ...ENV, DATA_DIR: "db" } };
    await using server = await startServerProgram("db", { cwd: dir.path, env: ENV });
    await using ingest = startProgram(["ingest", "log.jsonl"], options);
    await eventually("some documents are committed", async () => {
      const answer = await fetch(`${server.url}/api/v1/collections/documents`);
      if (!answer.ok) return undefined;
      return shaped(CollectionSchema, await answer.json()).documents > 0 ? true : undefined;
    });
    ingest.signalGroup("SIGINT");
    const committed = await interrupted(ingest);
    expect((await documents(options)).documents).toBe(committed);
    expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
  },
  TEST_MS_MAX,
);

/** The number of documents that an interrupted ingest says are in; it is a part of all. */
async function interrupted(ingest: RunningProgram): Promise<number> {
  expect(await ingest.exited).toBe(1);
  expect(ingest.stderr()).toBe(
    "Stopped early: what is counted above is committed, the rest was not read.\n",
  );
  const committed = Number(/^(\d+) documents from 1 files are in/.exec(ingest.stdout())?.[1]);
  expect(committed).toBeLessThan(DOCUMENTS);
  return committed;
}

/** The collection as the CLI sees it. */
async function documents(options: StartOptions): Promise<CollectionState> {
  const { stdout } = await runProgram(["collections", "list", "--json"], options);
  return shaped(Type.Tuple([CollectionSchema]), JSON.parse(stdout))[0];
}
