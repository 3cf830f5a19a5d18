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
} from "../support/process.ts";
import { shaped } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { openUpsert, type UpsertClient } from "./upsert-client.ts";

const TEST_MS_MAX = 60_000;
const ENV = { EMBEDDING_MODEL_NAME: "static-256" };

/** A streaming upsert of which one document was answered and whose body has not ended. */
async function openUnfinished(url: string): Promise<UpsertClient> {
  const collection = { method: "POST", body: JSON.stringify({ name: "documents" }) };
  const headers = { "content-type": "application/json" };
  await fetch(`${url}/api/v1/collections`, { ...collection, headers });
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
  "a request that does not end is left after DRAIN_TIMEOUT, and what it was answered is kept",
  async () => {
    using dir = tempDir();
    const env = { ...ENV, DRAIN_TIMEOUT: "0" };
    const first = await startServerProgram("db", { cwd: dir.path, env });
    await using _first = first;
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

test(
  "a second signal ends the server at once",
  async () => {
    using dir = tempDir();
    const env = { ...ENV, DRAIN_TIMEOUT: "3600" };
    await using server = await startServerProgram("db", { cwd: dir.path, env });
    await openUnfinished(server.url);
    server.signal("SIGTERM");
    await logged(server, "app.stopping");
    server.signal("SIGTERM");
    expect(await server.exited).toBe(1);
  },
  TEST_MS_MAX,
);

/** Enough documents that an ingest takes seconds; each is one chunk. */
const DOCUMENTS = 6000;

function writeDocuments(folder: string): void {
  const line = (index: number) =>
    JSON.stringify({
      id: `d${index}`,
      text: `Entry ${index} of the stewards' log, lap ${index % 70}.`,
    });
  const lines = Array.from({ length: DOCUMENTS }, (_, index) => `${line(index)}\n`);
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
    // The schema alone takes less than this, and all documents more.
    await eventually("some documents are committed", () =>
      existsSync(wal) && statSync(wal).size > 1_000_000 ? true : undefined,
    );
    ingest.signalGroup("SIGINT");
    expect(await ingest.exited).toBe(1);
    const counted = /^(\d+) documents from 1 files are in documents/.exec(ingest.stdout());
    const committed = Number(counted?.[1]);
    expect(committed).toBeGreaterThan(0);
    expect(committed).toBeLessThan(DOCUMENTS);
    expect(ingest.stderr()).toBe(
      "Stopped early: what is counted above is committed, the rest was not read.\n",
    );
    expect((await collection(options)).documents).toBe(committed);

    expect((await runProgram(["ingest", "log.jsonl"], options)).exitCode).toBe(0);
    expect(await collection(options)).toMatchObject({
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
    writeDocuments(dir.path);
    const options = { cwd: dir.path, env: { ...ENV, DATA_DIR: "db" } };
    await using server = await startServerProgram("db", { cwd: dir.path, env: ENV });
    await using ingest = startProgram(["ingest", "log.jsonl"], options);
    await eventually("some documents are committed", async () => {
      const answer = await fetch(`${server.url}/api/v1/collections/documents`);
      if (!answer.ok) return undefined;
      return shaped(CollectionSchema, await answer.json()).documents > 0 ? true : undefined;
    });
    ingest.signalGroup("SIGINT");
    expect(await ingest.exited).toBe(1);
    expect(ingest.stderr()).toStartWith("Stopped early");
    const committed = Number(/^\d+/.exec(ingest.stdout())?.[0]);
    expect(committed).toBeLessThan(DOCUMENTS);
    expect((await collection(options)).documents).toBe(committed);
    expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
  },
  TEST_MS_MAX,
);

async function collection(options: {
  cwd: string;
  env: Readonly<Record<string, string>>;
}): Promise<CollectionState> {
  const { stdout } = await runProgram(["collections", "list", "--json"], options);
  const [first]: unknown[] = JSON.parse(stdout);
  return shaped(CollectionSchema, first);
}
