import { describe, expect, test } from "bun:test";
import { openRawClient } from "../live/raw-client.ts";
import { eventually } from "../support/process.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { createRules, idsOf, writeRules } from "../http/answers.ts";

type Line = Record<string, unknown>;

async function linesOf(server: TestServer): Promise<Line[]> {
  const whole = (await server.log()).split("\n").slice(0, -1);
  return whole.map((line): Line => JSON.parse(line));
}

const of = (lines: readonly Line[], event: string): Line[] =>
  lines.filter((line) => line["event"] === event);

/** A search that must find something, so that it came to the index. */
async function search(server: TestServer, query: string): Promise<void> {
  const answer = await server.call("POST /api/v1/collections/rules/search", { query });
  expect(idsOf(answer).length).toBeGreaterThan(0);
}

describe("an index", () => {
  test("tells when it begins, when it is ready after how long, and each query at debug only", async () => {
    await using server = await startServer({ env: { LOG_LEVEL: "debug" } });
    await createRules(server);
    await writeRules(server, [{ id: "a", text: "A red flag stops the race." }]);
    await search(server, "red flag");
    const ready = await eventually("the index is ready", async () =>
      of(await linesOf(server), "index.ready").find((line) => line["collection"] === "rules"),
    );
    expect(ready).toMatchObject({ level: "info", duration_ms: expect.any(Number) });
    const lines = await linesOf(server);
    expect(of(lines, "index.initializing")).toEqual([
      expect.objectContaining({ level: "info", collection: "rules" }),
    ]);
    expect(of(lines, "index.query")).toEqual([
      expect.objectContaining({
        level: "debug",
        query: "red flag",
        duration_ms: expect.any(Number),
      }),
    ]);
  });
});

test("every module that logs makes its logger once, at its top", async () => {
  const paths = await Array.fromAsync(new Bun.Glob("src/**/*.ts").scan("."));
  const wrong: string[] = [];
  let loggers = 0;
  for (const path of paths.filter((one) => one !== "src/telemetry/logs.ts")) {
    const text = await Bun.file(path).text();
    const all = text.match(/getLogger\(/g)?.length ?? 0;
    const atTop = text.match(/^const log = getLogger\("[a-z_-]+"\);$/gm)?.length ?? 0;
    loggers += all;
    if (all !== atTop || all > 1) wrong.push(path);
  }
  expect(loggers).toBeGreaterThan(20);
  expect(wrong).toEqual([]);
});

test("a live connection is logged when it comes and when it goes, with its rooms, code and reason", async () => {
  await using server = await startServer({ env: { LOG_LEVEL: "info" } });
  {
    using client = await openRawClient(server.url);
    await client.ask({ type: "subscribe", id: "s", room: "paddock" });
  }
  const gone = await eventually("it has gone", async () =>
    of(await linesOf(server), "ws.disconnected").at(0),
  );
  const came = of(await linesOf(server), "ws.connected");
  expect(came).toEqual([expect.objectContaining({ connection_id: expect.any(String) })]);
  expect(gone).toMatchObject({
    connection_id: came[0]?.["connection_id"],
    rooms: ["paddock"],
    code: 1006,
    reason: expect.any(String),
  });
});
