import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_MS_MAX = 120_000;

/** A server of a bench's own on a free port and in an empty data directory. */
export interface BenchServer extends AsyncDisposable {
  url: string;
  dataDir: string;
  pid: number;
}

/** Starts the program, from source or the given binary, with settings on top of the defaults. */
export async function startServer(
  options: {
    binary?: string;
    settings?: Record<string, string>;
    dataDir?: string;
    /** A module that the server, from source, loads first. */
    preload?: string;
    /** Where its output goes; nowhere by default. */
    stdout?: "ignore" | number;
  } = {},
): Promise<BenchServer> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "slipstream-bench-"));
  const preload = options.preload === undefined ? [] : ["--preload", options.preload];
  const command =
    options.binary === undefined ? [process.execPath, ...preload, "src/main.ts"] : [options.binary];
  const child = Bun.spawn([...command, "serve"], {
    env: { ...process.env, PORT: "0", DATA_DIR: dataDir, LOG_LEVEL: "error", ...options.settings },
    stdio: ["ignore", options.stdout ?? "ignore", "inherit"],
  });
  const url = await listeningUrl(dataDir, child.pid);
  return {
    url,
    dataDir,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** The address that the server of this process writes beside its lock once it listens. */
async function listeningUrl(dataDir: string, pid: number): Promise<string> {
  const deadline = performance.now() + START_MS_MAX;
  while (performance.now() < deadline) {
    const holder = readHolder(dataDir);
    if (holder?.pid === pid && typeof holder.url === "string") return holder.url;
    await Bun.sleep(2);
  }
  throw new Error("the server did not begin to listen");
}

function readHolder(dataDir: string): { pid?: unknown; url?: unknown } | undefined {
  try {
    return JSON.parse(readFileSync(join(dataDir, "holder.json"), "utf8"));
  } catch {
    return undefined;
  }
}

/** The JSON of an answer that must be a success. */
export async function callJson(url: string, init?: RequestInit): Promise<unknown> {
  const response = await fetch(url, { ...init, timeout: false });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${url}: ${text}`);
  return JSON.parse(text);
}

/** A JSON body with its method. */
export function post(body: unknown): RequestInit {
  return {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  };
}
