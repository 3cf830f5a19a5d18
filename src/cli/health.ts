import { parseConfig, type Config } from "../config.ts";
import { readHolder } from "../store/local/lock.ts";
import { printResult } from "./output.ts";

/** Longest wait for the server's answer: less than the probes in deploy/ wait for this command. */
const TIMEOUT_MS = 4000;

/**
 * Asks the server that holds the data directory, or else the one that the settings name, for `/health/<probe>`: 0 where
 * the answer is 200. A container has no curl, and its health check asks so.
 */
export async function healthCommand(probe: string, { json }: { json?: boolean }): Promise<number> {
  const config = parseConfig(process.env);
  const { ok, text } = await ask(`${addressOf(config)}/health/${probe}`);
  const status = statusIn(text);
  printResult(json ? text : (status ?? "another program answers there"));
  // Where the port is another program's, its answer is none.
  return ok && status !== undefined ? 0 : 1;
}

async function ask(url: string): Promise<{ ok: boolean; text: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return { ok: response.ok, text: await response.text() };
  } catch {
    // That nobody answers is an answer to a probe.
    return { ok: false, text: JSON.stringify({ status: "unreachable", url }) };
  }
}

/** A server writes down where it listens once it is ready; until then it listens where the settings say. */
function addressOf({ dataDir, host, port }: Config): string {
  const holder = readHolder(dataDir)?.url;
  return holder ?? `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function statusIn(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const hasStatus = typeof value === "object" && value !== null && "status" in value;
    return hasStatus && typeof value.status === "string" ? value.status : undefined;
  } catch {
    return undefined;
  }
}
