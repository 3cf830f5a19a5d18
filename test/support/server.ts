import type { Static, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { serve } from "../../src/boot/serve.ts";
import { parseConfig } from "../../src/config.ts";
import type { LiveCounters } from "../../src/live/counters.ts";
import { LineSink } from "../../src/telemetry/line-sink.ts";
import { configureLogging } from "../../src/telemetry/logs.ts";
import { tempDir } from "./temp-dir.ts";

/** What came back. `json` is undefined where the body is empty or no JSON. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  json: unknown;
}

type Headings = Record<string, string>;

export interface TestServer extends AsyncDisposable {
  url: string;
  /** Sends `"METHOD /path"`. Text and bytes go as they are, labelled JSON unless `headers` say else; other bodies become JSON. */
  call(target: string, body?: unknown, headers?: Headings): Promise<Answer>;
  /** Drains and closes, as a signal would; false if requests had to be left. Disposing does the same. */
  stop(): Promise<boolean>;
  /** What its live edge counts. */
  live: LiveCounters;
  /** The log so far, JSON Lines, errors and worse: it says why an answer was a 500. */
  log(): Promise<string>;
}

/**
 * The real server, in this process, on a free port, over a data directory of its own: no child processes, the small
 * model. `env` holds settings as the environment would.
 */
export async function startServer({ env = {} }: { env?: Headings } = {}): Promise<TestServer> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(tempDir());
  const config = parseConfig({
    DATA_DIR: join(dir.path, "db"),
    PORT: "0",
    ENGINES: "0",
    EMBEDDING_MODEL_NAME: "static-256",
    LOG_FORMAT: "json",
    LOG_LEVEL: "error",
    STARTUP_MIN_UPTIME: "0",
    ...env,
  });
  const logPath = join(dir.path, "server.log");
  const descriptor = openSync(logPath, "a");
  stack.defer(() => closeSync(descriptor));
  const sink = stack.use(new LineSink(descriptor));
  await configureLogging(config, sink);
  const served = await serve(config);
  let stopped: Promise<boolean> | undefined;
  const stop = () => (stopped ??= served.stop());
  stack.defer(async () => void (await stop()));
  const owned = stack.move();
  return {
    url: served.url,
    call: (target, body, headers) => call(served.url + pathOf(target), { target, body, headers }),
    stop,
    live: served.live,
    async log() {
      await sink.flush();
      return readFileSync(logPath, "utf8");
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A value of the wire's shape; fails the test where it has another. */
export function shaped<T extends TSchema>(schema: T, value: unknown): Static<T> {
  const first = Value.Errors(schema, value).First();
  if (first !== undefined) {
    throw new Error(`${first.path || "the answer"}: ${first.message}: ${JSON.stringify(value)}`);
  }
  Value.Assert(schema, value);
  return value;
}

function pathOf(target: string): string {
  return target.slice(target.indexOf(" ") + 1);
}

async function call(
  url: string,
  { target, body, headers = {} }: { target: string; body: unknown; headers: Headings | undefined },
): Promise<Answer> {
  const raw = typeof body === "string" || body instanceof Uint8Array;
  const response = await fetch(url, {
    method: target.slice(0, target.indexOf(" ")),
    ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
    headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: jsonOf(text) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
