import { join } from "node:path";
import { npmVersion } from "../peers/installed.ts";
import { endWithUs } from "../peers/children.ts";
import { callJson, startServer } from "../support/server.ts";
import { cores, pinTo } from "./pin.ts";
import { ROOM, type WireName } from "./wire.ts";

export type ContestantName =
  | "raw Bun"
  | "Slipstream, no history"
  | "Slipstream, durable history"
  | "ws on Node"
  | "Socket.IO on Node";

/** A server that takes part: a fresh one for each round. */
export interface Contestant {
  readonly name: ContestantName;
  readonly wire: WireName;
  /** Subscribers who were away are given what they missed. */
  readonly resumes: boolean;
  readonly version: string;
  start(): Promise<LiveServer>;
}

export interface LiveServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

/** All who take part, raw Bun first. `install` is where install.sh put the libraries. */
export async function contestants(install: string): Promise<Contestant[]> {
  const { version }: { version: string } = await Bun.file("package.json").json();
  const node = (await Bun.$`node --version`.text()).trim();
  const servers = join(import.meta.dir, "servers");
  const ours = { wire: "slipstream", version } as const;
  return [
    {
      name: "raw Bun",
      wire: "plain",
      resumes: false,
      version: Bun.version,
      start: () => startChild([process.execPath, join(servers, "raw-bun.ts")]),
    },
    {
      ...ours,
      name: "Slipstream, no history",
      resumes: false,
      start: () => startSlipstream({ keepsHistory: false }),
    },
    {
      ...ours,
      name: "Slipstream, durable history",
      resumes: true,
      start: () => startSlipstream({ keepsHistory: true }),
    },
    {
      name: "ws on Node",
      wire: "plain",
      resumes: false,
      version: `${await npmVersion(install, "ws")}, Node ${node}`,
      start: () => startChild(["node", join(servers, "node-ws.mjs"), install]),
    },
    {
      name: "Socket.IO on Node",
      wire: "socket.io",
      resumes: false,
      version: `${await npmVersion(install, "socket.io")}, Node ${node}`,
      start: () => startChild(["node", join(servers, "socket-io.mjs"), install]),
    },
  ];
}

/** Starts a server that tells its address on its first line. */
async function startChild(command: readonly string[]): Promise<LiveServer> {
  const child = Bun.spawn([...command], { stdio: ["ignore", "pipe", "inherit"] });
  const { forget } = endWithUs(child.pid);
  const { value } = await child.stdout.getReader().read();
  if (value === undefined) throw new Error(`${command.join(" ")} ended`);
  pinTo(cores.server, child.pid);
  return {
    url: new TextDecoder().decode(value).trim(),
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      forget();
    },
  };
}

/**
 * Starts the program from source. A room keeps its last thousand messages by default. The one publisher here sends for
 * all, so no rate is held.
 */
async function startSlipstream({ keepsHistory }: { keepsHistory: boolean }): Promise<LiveServer> {
  const settings = {
    ENGINES: "0",
    EMBEDDING_MODEL_NAME: "static-256",
    DRAIN_TIMEOUT: "0",
    WS_RATE: "100000",
    WS_BURST: "100000",
  };
  const server = await startServer({ settings });
  const { forget } = endWithUs(server.pid);
  pinTo(cores.server, server.pid);
  if (!keepsHistory) await forgetHistory(server.url);
  return {
    url: server.url,
    pid: server.pid,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      forget();
    },
  };
}

async function forgetHistory(url: string): Promise<void> {
  await callJson(`${url}/api/v1/rooms/${ROOM}`, {
    method: "PUT",
    body: JSON.stringify({ history_messages: 0, history_seconds: 86_400 }),
    headers: { "content-type": "application/json" },
  });
}
