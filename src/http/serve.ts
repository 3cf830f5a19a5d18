import type { Connection } from "../live/connection.ts";
import type { Live, LiveServer } from "../live/live.ts";
import { Problem } from "../problems.ts";
import type { Edge } from "./edge.ts";
import type { Connection as Network, Front } from "./front.ts";
import { problemResponse } from "./problem-response.ts";
import { requestIdOf } from "./request-id.ts";
import { targetOf } from "./request-target.ts";

/** Seconds a connection may be silent: what a slow client needs and no more. */
const IDLE_TIMEOUT_SECONDS = 30;

/** Streams have no length; ordinary bodies are bounded where they are read. */
const BODY_BYTES_MAX = 2 ** 40;

const LIVE_PATH = "/live";

export interface Listening {
  url: string;
  /** Where frames to all who listen go out. */
  server: LiveServer;
  /** Takes no more connections, gives open ones that long to end by themselves, then cuts them off. */
  stop(graceMs: number): Promise<void>;
}

export interface ListenOptions {
  host: string;
  port: number;
  live: Pick<Live, "handlers" | "upgrade">;
  /** Counts handshakes, as the front counts requests. */
  edge?: Pick<Edge, "clientAddress" | "count">;
}

/** @throws Problem `port_in_use` */
export function listen(front: Front, { host, port, live, edge }: ListenOptions): Listening {
  try {
    const server = Bun.serve<Connection>({
      hostname: host,
      port,
      reusePort: false,
      // Set by hand: outside production the default error page shows source and stack.
      development: false,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      maxRequestBodySize: BODY_BYTES_MAX,
      fetch(request, connection) {
        // Most addresses end otherwise, and are not taken apart here.
        if (!request.url.includes(LIVE_PATH)) return front.handle(request, connection);
        const { path, query } = targetOf(request);
        if (path !== LIVE_PATH) return front.handle(request, connection);
        return upgrade({ live, edge }, request, { server: connection, query });
      },
      websocket: live.handlers,
    });
    return {
      url: server.url.origin,
      server,
      async stop(graceMs) {
        // A client that keeps its idle connection open would keep this promise waiting.
        await Promise.race([server.stop(), Bun.sleep(graceMs)]);
        await server.stop(true);
      },
    };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") {
      throw new Problem(
        "port_in_use",
        `Port ${port} of ${host} is in use by another program; set PORT to a free one.`,
        {
          cause: error,
        },
      );
    }
    throw error;
  }
}

/** A refusal is an answer of HTTP; a connection needs none. */
function upgrade(
  { live, edge }: Pick<ListenOptions, "live"> & { edge: ListenOptions["edge"] },
  request: Request,
  { server, query }: { server: LiveServer & Pick<Network, "requestIP">; query: string },
): Response | undefined {
  const requestId = requestIdOf(request);
  try {
    edge?.count(() => edge.clientAddress(request, server.requestIP(request)?.address ?? null));
    live.upgrade(request, server, { query, requestId });
    return undefined;
  } catch (error) {
    const problem =
      error instanceof Problem
        ? error
        : new Problem("internal", "Unexpected failure.", { cause: error });
    const response = problemResponse(problem, requestId, LIVE_PATH);
    response.headers.set("x-request-id", requestId);
    if (problem.code === "upgrade_required") response.headers.set("upgrade", "websocket");
    return response;
  }
}
