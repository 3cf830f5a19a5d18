import { afterAll, describe, expect, test } from "bun:test";
import { reset } from "@logtape/logtape";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createFront, type Fetch } from "../../../src/http/front.ts";
import type { Lifecycle } from "../../../src/http/lifecycle.ts";
import { scopeOf } from "../../../src/http/request-scope.ts";
import { limits } from "../../../src/limits.ts";
import { LineSink } from "../../../src/telemetry/line-sink.ts";
import { configureLogging, getLogger } from "../../../src/telemetry/logs.ts";
import { tempDir } from "../../support/temp-dir.ts";

afterAll(reset);

const ready = (): Lifecycle => ({ state: "ready", steps: [] });
const ok: Fetch = () => new Response("ok");
const get = (path = "/", headers: Record<string, string> = {}): Request =>
  new Request(`http://localhost${path}`, { headers });

/** The records of some work, as they are logged. */
async function records(work: () => unknown): Promise<Record<string, unknown>[]> {
  using dir = tempDir();
  const path = join(dir.path, "log");
  const descriptor = openSync(path, "w");
  {
    await using sink = new LineSink(descriptor);
    const config = { environment: "production", logFormat: "json", logLevel: "debug" } as const;
    await configureLogging(config, sink);
    await work();
  }
  closeSync(descriptor);
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}

describe("the front", () => {
  test("gives back a request id that fits, and one of its own otherwise", async () => {
    const front = createFront(ok, ready());
    const idOf = async (given?: string) =>
      (
        await front.handle(get("/", given === undefined ? {} : { "x-request-id": given }))
      ).headers.get("x-request-id");
    expect(await idOf("Abc-1._9")).toBe("Abc-1._9");
    expect(await idOf("x".repeat(limits.requestIdBytesMax))).toHaveLength(limits.requestIdBytesMax);
    for (const odd of ["", "a b", 'a"b', "x".repeat(limits.requestIdBytesMax + 1), undefined])
      expect(await idOf(odd)).toMatch(/^[0-9a-f-]{36}$/);
    expect(await idOf()).not.toBe(await idOf());
  });

  test("logs a request's beginning, end and all between with its id", async () => {
    const front = createFront(async (request) => {
      await new Promise(setImmediate);
      getLogger("feature").info("work.done", { seen: scopeOf(request).requestId });
      return new Response("ok", { status: 201 });
    }, ready());
    const lines = await records(() =>
      Promise.all(["r1", "r2"].map((id) => front.handle(get("/a", { "x-request-id": id })))),
    );
    for (const id of ["r1", "r2"]) {
      const own = lines.filter((line) => line["request_id"] === id);
      expect(own.map((line) => line["event"])).toEqual([
        "request_started",
        "work.done",
        "request_completed",
      ]);
      expect(own[1]?.["seen"]).toBe(id);
      expect(own[2]).toMatchObject({ method: "GET", path: "/a", status_code: 201 });
      expect(own[2]?.["duration_ms"]).toBeNumber();
    }
    expect(lines).toHaveLength(6);
  });

  test("logs no words that people search for", async () => {
    const front = createFront(ok, ready());
    const lines = await records(() => front.handle(get("/s?q=secret&filter=secret&k=3")));
    expect(lines[0]?.["query_params"]).toEqual({ q: "***", filter: "***", k: "3" });
    expect(JSON.stringify(lines)).not.toContain("secret");
  });

  test("answers a failure of ours without its reason, and logs the reason", async () => {
    const front = createFront(() => {
      throw new RangeError("secret path");
    }, ready());
    let body = "";
    const lines = await records(async () => {
      const response = await front.handle(get());
      expect(response.status).toBe(500);
      expect(response.headers.has("x-request-id")).toBe(true);
      body = await response.text();
    });
    expect(body).not.toContain("secret");
    expect(lines[1]).toMatchObject({
      level: "error",
      event: "request_failed",
      status_code: 500,
      error_type: "RangeError",
      error_message: "secret path",
      stack: expect.stringContaining("front.test.ts"),
    });
  });

  test("answers HEAD as GET without the body", async () => {
    const front = createFront((request) => {
      const headers = { "content-type": "text/plain", "x-method": request.method };
      return new Response("body", { status: 203, headers });
    }, ready());
    const response = await front.handle(new Request("http://localhost/", { method: "HEAD" }));
    expect([response.status, response.headers.get("x-method")]).toEqual([203, "GET"]);
    expect(response.headers.get("content-type")).toBe("text/plain");
    expect(await response.text()).toBe("");
  });

  test("names the client's address where there is a connection, and keeps it open when asked", async () => {
    const timeouts: number[] = [];
    const connection = {
      requestIP: () => ({ address: "127.0.0.9" }),
      timeout: (_request: Request, seconds: number) => void timeouts.push(seconds),
    };
    const front = createFront((request) => {
      scopeOf(request).keepOpen();
      return new Response();
    }, ready());
    const lines = await records(() => front.handle(get(), connection));
    expect(lines[0]?.["client_ip"]).toBe("127.0.0.9");
    expect(timeouts).toEqual([0]);
  });

  test("refuses new requests while it drains, but for health checks", async () => {
    const lifecycle = ready();
    const front = createFront(ok, lifecycle);
    lifecycle.state = "draining";
    const refused = await front.handle(get("/api/v1/collections"));
    expect(refused.status).toBe(503);
    expect(refused.headers.get("connection")).toBe("close");
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await refused.json()).toMatchObject({ code: "not_ready" });
    expect((await front.handle(get("/health/live"))).status).toBe(200);
  });

  test("is drained when its last request ends", async () => {
    const gates = [Promise.withResolvers<Response>(), Promise.withResolvers<Response>()];
    const front = createFront((request) => {
      const gate = gates[Number(new URL(request.url).pathname.slice(1))];
      return gate?.promise ?? new Response();
    }, ready());
    expect(await front.drained(0)).toBe(true);
    const running = [front.handle(get("/0")), front.handle(get("/1"))];
    let drained: boolean | undefined;
    const waiting = front.drained(60_000).then((result) => (drained = result));
    gates[0]?.resolve(new Response());
    await running[0];
    expect(drained).toBeUndefined();
    gates[1]?.resolve(new Response());
    await Promise.all(running);
    await waiting;
    expect(drained).toBe(true);
  });

  test("counts a request as running until its answer has gone out", async () => {
    const sent = Promise.withResolvers<void>();
    const front = createFront((request) => {
      scopeOf(request).runsUntil(sent.promise);
      return new Response("goes on");
    }, ready());
    await front.handle(get());
    let drained: boolean | undefined;
    const waiting = front.drained(60_000).then((result) => (drained = result));
    await new Promise(setImmediate);
    expect(drained).toBeUndefined();
    sent.resolve();
    await waiting;
    expect(drained).toBe(true);
  });

  test("does not wait longer than it may for a request that does not end", async () => {
    const gate = Promise.withResolvers<Response>();
    const front = createFront(() => gate.promise, ready());
    const running = front.handle(get());
    expect(await front.drained(5)).toBe(false);
    gate.resolve(new Response());
    await running;
  });

  test("survives a request whose address cannot be read", async () => {
    const front = createFront(ok, ready());
    const request = get();
    Object.defineProperty(request, "url", { value: "/no-host" });
    const lines = await records(async () => expect((await front.handle(request)).status).toBe(200));
    expect(lines[0]?.["path"]).toBe("/no-host");
  });
});
