import { afterAll, describe, expect, test } from "bun:test";
import { reset } from "@logtape/logtape";
import { openSync, closeSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../src/config.ts";
import { LineSink } from "../../src/telemetry/line-sink.ts";
import {
  bindRequestContext,
  clearRequestContext,
  configureLogging,
  createQuickLine,
  getLogger,
  outsideRequests,
  withLogContext,
} from "../../src/telemetry/logs.ts";
import { REDACTED } from "../../src/telemetry/redaction.ts";
import { VERSION } from "../../src/version.ts";
import { tempDir } from "../support/temp-dir.ts";

type LogConfig = Pick<Config, "environment" | "logFormat" | "logLevel">;

const JSON_LOGS: LogConfig = { environment: "production", logFormat: "json", logLevel: "debug" };

afterAll(reset);

/** What some work logs, as text. */
async function logged(config: LogConfig, work: () => unknown): Promise<string> {
  using dir = tempDir();
  const path = join(dir.path, "log");
  const descriptor = openSync(path, "w");
  {
    await using sink = new LineSink(descriptor);
    await configureLogging(config, sink);
    await work();
  }
  closeSync(descriptor);
  return readFileSync(path, "utf8");
}

/** What some work logs as JSON; a line that does not parse fails the test. */
async function records(
  work: () => unknown,
  config: Partial<LogConfig> = {},
): Promise<Record<string, unknown>[]> {
  const text = await logged({ ...JSON_LOGS, ...config }, work);
  expect(text === "" || text.endsWith("\n")).toBe(true);
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

const log = getLogger("tests");

/** Lets others run, and comes back from the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a JSON log line", () => {
  test("says when, how bad, who, what, and which program", async () => {
    const before = Date.now();
    const [line] = await records(() => log.info("index.ready", { vectors: 3 }));
    expect(line).toMatchObject({
      level: "info",
      logger: "slipstream.tests",
      event: "index.ready",
      app_name: "slipstream",
      environment: "production",
      version: VERSION.version,
      vectors: 3,
    });
    expect(line?.["timestamp"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Date.parse(String(line?.["timestamp"]))).toBeWithin(before, Date.now() + 1);
  });

  test("has one of the five levels, fatal being critical", async () => {
    const lines = await records(() => {
      log.debug("a");
      log.info("a");
      log.warning("a");
      log.error("a");
      log.fatal("a");
    });
    expect(lines.map((line) => line["level"])).toEqual([
      "debug",
      "info",
      "warning",
      "error",
      "critical",
    ]);
  });

  test("is one line and parses, whatever its fields hold", async () => {
    const fields = {
      text: 'two\nlines, "quotes", \u2028, \u0000, \ud800, 🏁',
      nothing: null,
      missing: undefined,
      whole: 2n ** 70n,
      date: new Date(0),
      nested: { list: [1, [2]] },
      not_a_number: NaN,
    };
    const lines = await records(() => log.info("odd", fields));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      text: fields.text,
      nothing: null,
      whole: "1180591620717411303424",
      date: "1970-01-01T00:00:00.000Z",
      nested: { list: [1, [2]] },
      not_a_number: null,
    });
  });

  test("takes text in braces as it is", async () => {
    const [line] = await records(() => log.info("a {name} b {{c}}", { name: "x" }));
    expect(line?.["event"]).toBe("a {name} b {{c}}");
  });

  test("shows an error as its type, message, stack and causes", async () => {
    const cause = new TypeError("no such table");
    const [line] = await records(() =>
      log.error("write.failed", { error: new RangeError("cannot write", { cause }) }),
    );
    expect(line?.["error"]).toMatchObject({
      type: "RangeError",
      message: "cannot write",
      stack: expect.stringContaining("logs.test.ts"),
      cause: {
        type: "TypeError",
        message: "no such table",
        stack: expect.stringContaining("logs.test.ts"),
      },
    });
  });

  test("keeps its own fields against fields of the same name", async () => {
    const [line] = await records(() =>
      withLogContext({ event: "x", logger: "x" }, () =>
        log.info("true.event", {
          timestamp: "x",
          level: "x",
          event: "x",
          logger: "x",
          app_name: "x",
          environment: "x",
          version: "x",
          other: "kept",
        }),
      ),
    );
    expect(line).toMatchObject({ level: "info", event: "true.event", logger: "slipstream.tests" });
    expect(Object.values(line ?? {})).not.toContain("x");
    expect(line?.["other"]).toBe("kept");
  });

  test("survives fields that hold themselves or big integers further down, in no time", async () => {
    const circle: Record<string, unknown> = { name: "circle" };
    circle["self"] = circle;
    const loop = new Error("loop");
    loop.cause = loop;
    const start = performance.now();
    const lines = await records(() => {
      log.info("circle", { circle });
      log.info("deep", { list: [2n] });
      log.error("loop", { error: loop });
    });
    expect(performance.now() - start).toBeLessThan(500);
    expect(lines.map((line) => line["event"])).toEqual(["circle", "deep", "loop"]);
  });

  test("does not compute fields of a level that is not written", async () => {
    let computed = 0;
    const lines = await records(
      () => {
        log.info("cheap", () => ({ count: ++computed }));
        log.warning("dear", () => ({ count: ++computed }));
      },
      { logLevel: "warning" },
    );
    expect(lines.map((line) => line["count"])).toEqual([1]);
  });
});

const hello = (): void => log.debug("hello", { lap: 3 });

describe("the level and the format", () => {
  test.each([
    ["debug", 5],
    ["info", 4],
    ["warning", 3],
    ["error", 2],
    ["critical", 1],
  ] as const)("at %s, %d of five records are written", async (logLevel, count) => {
    const lines = await records(
      () => {
        for (const level of ["debug", "info", "warning", "error", "fatal"] as const)
          log[level]("a");
      },
      { logLevel },
    );
    expect(lines).toHaveLength(count);
  });

  test("come from the environment where nothing else is said", async () => {
    const staging = { environment: "staging", logFormat: undefined, logLevel: undefined } as const;
    expect(JSON.parse(await logged(staging, hello))).toMatchObject({ level: "debug", lap: 3 });
    expect(await logged({ ...staging, environment: "development" }, hello)).toBe("");
  });

  test.each(["json", "console"] as const)(
    "leave a request's own line out in %s without making its fields",
    async (logFormat) => {
      const quick = createQuickLine("tests", "request_started");
      let made = 0;
      const work = () => quick(() => ({ made: ++made }));
      expect(await logged({ ...JSON_LOGS, logFormat, logLevel: "error" }, work)).toBe("");
      expect(made).toBe(0);
      const shown = await logged({ ...JSON_LOGS, logFormat, logLevel: "info" }, work);
      expect(shown).toContain("request_started");
      expect(made).toBe(1);
    },
  );

  test("console lines show event and fields to a person and end in a newline", async () => {
    const text = await logged({ ...JSON_LOGS, logFormat: "console" }, () => {
      log.info("index.ready", { vectors: 12 });
      log.info("second");
    });
    expect(text).toContain("index.ready");
    expect(text).toContain("vectors");
    expect(text).toContain("12");
    expect(text).toEndWith("\n");
    expect(() => JSON.parse(text.split("\n")[0] ?? "")).toThrow();
  });

  test("a second configuration takes over from the first", async () => {
    const first = await logged(JSON_LOGS, async () => {
      const lines = await records(() => log.info("second"));
      expect(lines.map((line) => line["event"])).toEqual(["second"]);
    });
    expect(first).toBe("");
  });
});

const ids = (lines: readonly Record<string, unknown>[]) => lines.map((line) => line["request_id"]);

/** Work in many steps that says each time whose it is. */
const request = (id: string) =>
  withLogContext({ request_id: id }, async () => {
    for (let step = 0; step < 50; step++) {
      log.info("step", { of: id });
      await turn();
    }
  });

/** Binds an id and logs it a turn later. */
const bindAndLog = async (id: string) => {
  await turn();
  bindRequestContext({ request_id: id });
  await turn();
  log.info("step", { of: id });
};

describe("the context of a request", () => {
  test("is in every record of its work, across awaits and timers", async () => {
    const lines = await records(() =>
      withLogContext({ request_id: "r1" }, async () => {
        log.info("a");
        await turn();
        log.info("b");
        await new Promise<void>((resolve) => setTimeout(() => (log.info("c"), resolve()), 0));
        queueMicrotask(() => log.info("d"));
        await turn();
        getLogger("other").info("e");
      }),
    );
    expect(ids(lines)).toEqual(["r1", "r1", "r1", "r1", "r1"]);
  });

  test("never mixes with another's that runs at the same time", async () => {
    const lines = await records(() => Promise.all([request("r1"), request("r2")]));
    expect(lines).toHaveLength(100);
    expect(lines.filter((line) => line["request_id"] !== line["of"])).toEqual([]);
    expect(new Set(ids(lines).slice(0, 2)).size).toBe(2);
  });

  test("is gone afterwards, cycle after cycle", async () => {
    const lines = await records(async () => {
      for (let cycle = 0; cycle < 5; cycle++) {
        await withLogContext({ request_id: `r${cycle}` }, async () => {
          await turn();
          log.info("inside");
        });
        log.info("outside");
      }
    });
    expect(ids(lines.filter((line) => line["event"] === "inside"))).toEqual([
      "r0",
      "r1",
      "r2",
      "r3",
      "r4",
    ]);
    for (const line of lines.filter((one) => one["event"] === "outside"))
      expect(line).not.toHaveProperty("request_id");
  });

  test("is gone after work that throws", async () => {
    const lines = await records(async () => {
      const work = withLogContext({ request_id: "r1" }, async () => {
        await turn();
        throw new Error("stop");
      });
      await work.catch(() => undefined);
      log.info("after");
    });
    expect(lines[0]).not.toHaveProperty("request_id");
  });

  test("adds to the one around it and yields to a record's own fields", async () => {
    const [inner, outer] = await records(() =>
      withLogContext({ request_id: "r1", lap: 1 }, () => {
        withLogContext({ lap: 2 }, () => log.info("inner", { pit: true }));
        log.info("outer", { lap: 3 });
      }),
    );
    expect(inner).toMatchObject({ request_id: "r1", lap: 2, pit: true });
    expect(outer).toMatchObject({ request_id: "r1", lap: 3 });
  });

  test("can be bound and cleared, over several cycles", async () => {
    const lines = await records(async () => {
      for (let cycle = 0; cycle < 5; cycle++) {
        await turn();
        bindRequestContext({ request_id: `r${cycle}` });
        bindRequestContext({ cycle });
        await turn();
        log.info("bound");
        clearRequestContext();
        log.info("cleared");
      }
    });
    const bound = lines.filter((line) => line["event"] === "bound");
    expect(bound.map((line) => [line["request_id"], line["cycle"]])).toEqual(
      [0, 1, 2, 3, 4].map((cycle) => [`r${cycle}`, cycle]),
    );
    for (const line of lines.filter((one) => one["event"] === "cleared")) {
      expect(line).not.toHaveProperty("request_id");
      expect(line).not.toHaveProperty("cycle");
    }
  });

  test("that one call binds is not its neighbours'", async () => {
    const lines = await records(() =>
      Promise.all(Array.from({ length: 20 }, (_, index) => bindAndLog(`r${index}`))),
    );
    expect(lines).toHaveLength(20);
    expect(lines.filter((line) => line["request_id"] !== line["of"])).toEqual([]);
  });

  test("does not reach work that outlives the request", async () => {
    const lines = await records(() =>
      withLogContext({ request_id: "r1" }, () => outsideRequests(() => log.info("later"))),
    );
    expect(lines[0]).not.toHaveProperty("request_id");
  });
});

/** Every name whose value nobody may read. */
const SECRET_KEYS = [
  "password",
  "passwd",
  "pwd",
  "secret",
  "token",
  "api_key",
  "apikey",
  "auth",
  "authorization",
  "credential",
  "private_key",
  "access_key",
  "x-api-key",
  "cookie",
  "set-cookie",
];

describe("sanitizeSensitiveData", () => {
  test.each(SECRET_KEYS)("hides the value of %s", async (key) => {
    const [line] = await records(() => log.info("event", { [key]: "hunter2", lap: 3 }));
    expect(line).toMatchObject({ [key]: "***REDACTED***", lap: 3 });
    expect(JSON.stringify(line)).not.toContain("hunter2");
  });

  test("reaches an error's own fields and its causes", async () => {
    const cause = Object.assign(new Error("refused"), { headers: { authorization: "Bearer x" } });
    const error = Object.assign(new Error("failed", { cause }), {
      code: "E1",
      password: "hunter2",
    });
    const [line] = await records(() => log.error("failed", { error }));
    expect(line?.["error"]).toMatchObject({
      type: "Error",
      message: "failed",
      code: "E1",
      password: REDACTED,
      cause: { message: "refused", headers: { authorization: REDACTED } },
    });
  });

  test("is part of each line, of context, of requests' own lines and of console lines too", async () => {
    const quick = createQuickLine("tests", "request_started");
    const work = () =>
      withLogContext({ token: "hunter2" }, () => {
        log.info("event", { lap: 1 });
        quick(() => ({ query_params: { api_key: "hunter2", k: "3" }, method: "GET" }));
      });
    const [line, started] = await records(work);
    expect(line).toMatchObject({ token: REDACTED, lap: 1 });
    expect(started).toMatchObject({ query_params: { api_key: REDACTED, k: "3" } });
    const text = await logged({ ...JSON_LOGS, logFormat: "console" }, work);
    expect(text).toContain("REDACTED");
    expect(text).not.toContain("hunter2");
  });
});
