import { afterAll, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { reset } from "@logtape/logtape";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { limits } from "../../../src/limits.ts";
import { Problem } from "../../../src/problems.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { WriterStore } from "../../../src/store/local/writer-store.ts";
import { LineSink } from "../../../src/telemetry/line-sink.ts";
import { configureLogging } from "../../../src/telemetry/logs.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION, withVector, written } from "./fixtures.ts";
import { DEADLY_ID } from "./mortal-writer.ts";

/** So long a text that its document goes to the other thread by itself. */
const LONG = "x".repeat(limits.packedTextCharactersMax + 1);

afterAll(reset);

describe("a store whose writes are another thread's", () => {
  test("reads what was acknowledged, at once", async () => {
    using dir = tempDir();
    await using store = await WriterStore.open(dir.path);
    const { key } = await store.createCollection(COLLECTION);
    const reads = await Promise.all(
      Array.from({ length: 200 }, async (_, at) => {
        const [one] = await store.writeDocuments(key, [withVector(`d${at}`, [1, at])]);
        expect(store.sequence).toBeGreaterThanOrEqual(one?.sequence ?? Infinity);
        return store.document(key, `d${at}`);
      }),
    );
    expect(reads.map((row) => row?.id)).toEqual(reads.map((_, at) => `d${at}`));
    expect(store.sequence).toBe(200);
  });

  test("answers all writes of one turn, in order, with few commits", async () => {
    using dir = tempDir();
    await using store = await WriterStore.open(dir.path);
    const { key } = await store.createCollection(COLLECTION);
    const before = store.transactions;
    const count = 6 * limits.writesPerMessageMax + 3;
    const answered: number[] = [];
    const writing = Array.from({ length: count }, async (_, at) => {
      const [one] = await store.writeDocuments(key, [withVector(`d${at}`, [1, at])]);
      answered.push(one?.sequence ?? 0);
    });
    await Promise.all(writing);
    expect(answered).toEqual(Array.from({ length: count }, (_, at) => at + 1));
    expect(store.transactions - before).toBeWithin(1, 8);
    expect(store.waiting.documents).toBe(0);
    // None was sent a second time with a later message.
    await store.writeDocuments(key, [withVector("last", [1, 0])]);
    expect(store.sequence).toBe(count + 1);
    expect(await store.countDocuments(key)).toBe(count + 1);
  });

  test("begins with the first of many writes before the turn is over that brings them", async () => {
    using dir = tempDir();
    await using store = await WriterStore.open(dir.path);
    const { key } = await store.createCollection(COLLECTION);
    using reader = new Database(join(dir.path, "slipstream.db"), { readonly: true });
    const count = reader.prepare<{ documents: number }, []>(
      "SELECT count(*) AS documents FROM documents",
    );
    const writing = Array.from({ length: limits.writesPerMessageMax }, (_, at) =>
      store.writeDocuments(key, [withVector(`d${at}`, [1, at])]),
    );
    // This thread does nothing else meanwhile, as while it parses.
    const deadline = performance.now() + 10_000;
    let documents = 0;
    while (documents === 0 && performance.now() < deadline) {
      documents = count.get()?.documents ?? 0;
    }
    expect(documents).toBe(limits.writesPerMessageMax);
    await Promise.all(writing);
  });

  test("is closed without a trace beside its file, as often as it was opened", async () => {
    using dir = tempDir();
    for (let round = 0; round < 5; round++) {
      await using store = await WriterStore.open(dir.path);
      await store.putAnswer(`k${round}`, { requestSha256: "0", answer: "1" });
      expect(await store.answer("k0")).toBeDefined();
    }
    expect(readdirSync(dir.path).toSorted()).toEqual(["lock.db", "slipstream.db"]);
  });

  test("says what is wrong with a value that cannot be sent, and writes the others", async () => {
    using dir = tempDir();
    await using store = await WriterStore.open(dir.path);
    const { key } = await store.createCollection(COLLECTION);
    const outcomes = await Promise.allSettled([
      store.writeDocuments(key, [written("a", "x")]),
      // So long that it is not sent as JSON, which would leave the function out.
      store.writeDocuments(key, [written("b", LONG, { odd: () => "a function" })]),
      store.writeDocuments(key, [written("c", "x")]),
      store.writeDocuments(key, [written("d", "x", { odd: 1n })]),
    ]);
    const statuses = outcomes.map(({ status }) => status);
    expect(statuses).toEqual(["fulfilled", "rejected", "fulfilled", "rejected"]);
    expect(await store.countDocuments(key)).toBe(2);
  });

  test("refuses a directory that is held, with the words of the one who opens it", async () => {
    using dir = tempDir();
    await using _held = await LocalStore.open(dir.path);
    const problem = await problemOf(() => WriterStore.open(dir.path));
    expect(problem).toBeInstanceOf(Problem);
    expect(problem.code).toBe("data_locked");
    expect(problem.detail).toContain(`process ${process.pid}`);
  });

  test("logs in this thread what the other one has to say", async () => {
    using dir = tempDir();
    const path = join(dir.path, "log");
    const descriptor = openSync(path, "w");
    {
      await using sink = new LineSink(descriptor);
      const config = { environment: "production", logFormat: "json", logLevel: "info" } as const;
      await configureLogging(config, sink);
      await (await WriterStore.open(join(dir.path, "db")))[Symbol.asyncDispose]();
    }
    closeSync(descriptor);
    const line: unknown = JSON.parse(readFileSync(path, "utf8"));
    expect(line).toMatchObject({ logger: "slipstream.store", event: "database.closed" });
  });
});

describe("a Worker that dies", () => {
  const workerUrl = new URL("./mortal-writer.ts", import.meta.url).href;

  test("fails what was under way and what comes, while reading goes on", async () => {
    using dir = tempDir();
    const lost = Promise.withResolvers<Problem>();
    const store = await WriterStore.open(dir.path, { workerUrl, onLost: lost.resolve });
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [written("a", "x")]);
    const underWay = await problemOf(() => store.writeDocuments(key, [written(DEADLY_ID, "x")]));
    expect(underWay.code).toBe("internal");
    const reason = await lost.promise;
    expect(reason.code).toBe("internal");
    expect(String(reason.cause)).toContain("a fault in the Worker");
    const later = await problemOf(() => store.writeDocuments(key, [written("b", "x")]));
    expect(later.code).toBe("not_ready");
    expect((await store.document(key, "a"))?.text).toBe("x");
    await store[Symbol.asyncDispose]();
    await using again = await WriterStore.open(dir.path);
    expect(await again.document(key, "a")).toBeDefined();
  });

  test("before it has opened anything fails the opening", async () => {
    using dir = tempDir();
    const nowhere = new URL("./no-such-worker.ts", import.meta.url).href;
    const problem = await problemOf(() => WriterStore.open(dir.path, { workerUrl: nowhere }));
    expect(problem.code).toBe("internal");
  });
});

/** A process that writes documents, 32 at a time, and says each id once it is acknowledged. */
function startWriting(folder: string) {
  const store = new URL("../../../src/store/local/writer-store.ts", import.meta.url).pathname;
  const script = `
    const { WriterStore } = await import(${JSON.stringify(store)});
    const { written } = await import(${JSON.stringify(join(import.meta.dir, "fixtures.ts"))});
    const opened = await WriterStore.open(${JSON.stringify(folder)});
    const { key } = await opened.collection("rules");
    let next = Number(process.argv[1]);
    const write = async () => {
      for (;;) {
        const id = String(next++);
        await opened.writeDocuments(key, [written(id, "text of " + id)]);
        process.stdout.write(id + "\\n");
      }
    };
    await Promise.all(Array.from({ length: 32 }, write));`;
  return (first: number) =>
    Bun.spawn([process.execPath, "-e", script, String(first)], { stdout: "pipe" });
}

test("kill -9 while many are writing loses nothing that was acknowledged", async () => {
  using dir = tempDir();
  let key = 0;
  {
    await using store = await LocalStore.open(dir.path);
    key = (await store.createCollection(COLLECTION)).key;
  }
  const start = startWriting(dir.path);
  for (let round = 0; round < 3; round++) {
    const child = start(round * 100_000);
    let said = "";
    for await (const part of child.stdout) {
      said += Buffer.from(part).toString();
      if (said.split("\n").length > 200 * (round + 1)) child.kill("SIGKILL");
    }
    expect(await child.exited).toBe(137);
    const acknowledged = said.split("\n").slice(0, -1);
    expect(acknowledged.length).toBeGreaterThanOrEqual(200);
    await using store = await LocalStore.open(dir.path);
    for (const id of acknowledged) {
      expect((await store.document(key, id))?.text).toBe(`text of ${id}`);
    }
    expect(await store.check()).toEqual([]);
  }
}, 60_000);
