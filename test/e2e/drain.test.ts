import { expect, test } from "bun:test";
import { openRaw, type RawConnection } from "../http/raw-connection.ts";
import { eventually, logged, logLines, startServerProgram } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";

const TEST_MS_MAX = 120_000;
const REQUESTS = 200;
const SOCKETS = 500;
/** A load balancer must hear of it before it sends the next request. */
const NOT_READY_MS_MAX = 100;
const EXIT_MS_MAX = 10_000;

const PATH = "/api/v1/collections/rules/documents";
const HALF = '{"documents":[{"text":"A red';
const REST = ' flag stops the race."}]}';

/** A request whose body is half sent: it runs until the rest comes. */
async function openHalf(url: string, number: number): Promise<RawConnection> {
  const connection = await openRaw(url);
  connection.write(
    `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: half-${number}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${HALF.length + REST.length}\r\n\r\n${HALF}`,
  );
  return connection;
}

interface Ended {
  code: number;
  at: number;
}

/** A live connection, and how it ends. */
async function openSocket(url: string): Promise<{ closed: Promise<Ended> }> {
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<Ended>();
  const socket = new WebSocket(`${url.replace("http", "ws")}/live`);
  socket.addEventListener("open", () => opened.resolve());
  socket.addEventListener("error", () => opened.reject(new Error("the socket did not open")));
  socket.addEventListener("close", ({ code }) => closed.resolve({ code, at: performance.now() }));
  await opened.promise;
  return { closed: closed.promise };
}

const many = <T>(count: number, make: (number: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, number) => make(number)));

test(
  `SIGTERM with ${REQUESTS} requests and ${SOCKETS} sockets: not ready at once, all answered, all closed with 1001, in the order that is promised`,
  async () => {
    using dir = tempDir();
    const env = { EMBEDDING_MODEL_NAME: "static-256", ENGINES: "1" };
    await using server = await startServerProgram("db", { cwd: dir.path, env });
    const { url } = server;
    await fetch(`${url}/api/v1/collections`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"name":"rules"}',
    });
    const halves = await many(REQUESTS, (number) => openHalf(url, number));
    const sockets = await many(SOCKETS, () => openSocket(url));
    await eventually("all requests run", () => {
      const begun = logLines(server).filter(
        ({ event, path }) => event === "request_started" && path === PATH,
      );
      return begun.length === REQUESTS ? true : undefined;
    });

    const start = performance.now();
    server.signal("SIGTERM");
    const notReadyMs = await eventually("readiness says no", async () => {
      const { status } = await fetch(`${url}/health/ready`);
      return status === 503 ? performance.now() - start : undefined;
    });
    expect(notReadyMs).toBeLessThan(NOT_READY_MS_MAX);
    const refused = await fetch(`${url}/api/v1/collections`);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(refused.headers.get("connection")).toBe("close");
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    expect((await fetch(`${url}/ready`)).status).toBe(503);

    for (const half of halves) half.write(REST);
    const answers = await Promise.all(halves.map((half) => half.until('"items"')));
    expect(answers.filter((text) => !text.startsWith("HTTP/1.1 200")).length).toBe(0);
    const answeredAt = performance.now();
    const ends = await Promise.all(sockets.map(({ closed }) => closed));
    expect(ends.filter(({ code }) => code !== 1001).length).toBe(0);
    expect(Math.min(...ends.map(({ at }) => at))).toBeGreaterThan(start);
    expect(await server.exited).toBe(0);
    expect(performance.now() - start).toBeLessThan(EXIT_MS_MAX);
    expect(answeredAt - start).toBeLessThan(EXIT_MS_MAX);

    const order = logLines(server).map(({ event, part }) =>
      event === "part.closed" ? `${String(part)} closed` : String(event),
    );
    const last = (event: string) => order.lastIndexOf(event);
    const first = (event: string) => order.indexOf(event);
    const stages = [
      "process.signal",
      "app.stopping",
      "drain.work_ended",
      "drain.sockets_closed",
      "jobs closed",
      "engines closed",
      "database.closed",
      "store closed",
      "audit log closed",
      "telemetry closed",
      "app.stopped",
    ];
    expect(order.filter((event) => stages.includes(event))).toEqual(stages);
    expect(order.at(-1)).toBe("app.stopped");
    // Sockets are closed after the work, and nobody is closed before that.
    const answered = logLines(server).findLastIndex(
      ({ event, path }) => event === "request_completed" && path === PATH,
    );
    expect(answered).toBeLessThan(first("drain.work_ended"));
    expect(first("ws.disconnected")).toBeGreaterThan(first("drain.work_ended"));
    expect(last("ws.disconnected")).toBeLessThan(first("jobs closed"));
    expect(order.filter((event) => event === "ws.disconnected")).toHaveLength(SOCKETS);
    // No request's id is on what belongs to no request.
    const ofNone = /^(?:ws|app|part|drain|engine|database|process)\./;
    const marked = logLines(server).filter(
      ({ event, request_id }) => ofNone.test(String(event)) && request_id !== undefined,
    );
    expect(marked).toEqual([]);
  },
  TEST_MS_MAX,
);

test(
  "a server whose log nobody reads goes on answering, and ends with 0",
  async () => {
    using dir = tempDir();
    const pipe = `${dir.path}/pipe`;
    expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
    // Opened by the shell for both directions, so that there is a reader that never reads.
    const env = { EMBEDDING_MODEL_NAME: "static-256", ENGINES: "0" };
    await using server = await startServerProgram("db", {
      cwd: dir.path,
      env,
      command: [
        "sh",
        "-c",
        'exec "$@" 1<>pipe',
        "sh",
        process.execPath,
        `${import.meta.dir}/../../src/main.ts`,
      ],
    });
    const slowest = { ms: 0 };
    for (let round = 0; round < 20; round++) {
      const start = performance.now();
      const answers = await many(100, () => fetch(`${server.url}/health/live`));
      slowest.ms = Math.max(slowest.ms, performance.now() - start);
      expect(answers.every(({ status }) => status === 200)).toBe(true);
    }
    expect(slowest.ms).toBeLessThan(2000);
    server.signal("SIGTERM");
    expect(await server.exited).toBe(0);
  },
  TEST_MS_MAX,
);

test(
  "an upload of documents that runs when the signal comes is logged under its id to the end, in engine and audit log too",
  async () => {
    using dir = tempDir();
    const env = { EMBEDDING_MODEL_NAME: "static-256", ENGINES: "1", LOG_LEVEL: "debug" };
    await using server = await startServerProgram("db", { cwd: dir.path, env });
    const send = (target: string, id: string, body?: string) =>
      fetch(server.url + target.slice(target.indexOf(" ") + 1), {
        method: target.slice(0, target.indexOf(" ")),
        headers: { "content-type": "application/json", "x-request-id": id },
        ...(body === undefined ? {} : { body }),
      });
    await send("POST /api/v1/collections", "r-make", '{"name":"rules"}');
    const search = await send(
      "POST /api/v1/collections/rules/search",
      "r-search",
      '{"query":"flag"}',
    );
    expect(search.status).toBe(200);
    const backup = await send("POST /api/v1/backups", "r-backup");
    expect(backup.status).toBe(202);
    await logged(server, "job.ended");
    await send("DELETE /api/v1/collections/rules", "r-drop");
    server.signal("SIGTERM");
    expect(await server.exited).toBe(0);
    const lines = logLines(server);
    const idOf = (event: string) => lines.find((line) => line["event"] === event)?.["request_id"];
    expect(idOf("collection.created")).toBe("r-make");
    expect(idOf("index.query")).toBe("r-search");
    expect(idOf("job.started")).toBe("r-backup");
    expect(idOf("job.ended")).toBe("r-backup");
    const day = new Date().toISOString().slice(0, 10);
    const audit = await Bun.file(`${dir.path}/db/audit/audit-${day}.jsonl`).text();
    const rows = audit
      .trimEnd()
      .split("\n")
      .map((line): Record<string, unknown> => JSON.parse(line));
    expect(rows.map(({ event, request_id }) => [event, request_id])).toEqual([
      ["collection.created", "r-make"],
      ["backup.asked", "r-backup"],
      ["collection.dropped", "r-drop"],
    ]);
  },
  TEST_MS_MAX,
);
