import { Problem } from "../problems.ts";
import type { Front } from "./front.ts";

/** Seconds a connection may be silent: what a slow client needs and no more. */
const IDLE_TIMEOUT_SECONDS = 30;

/** Streams have no length; ordinary bodies are bounded where they are read. */
const BODY_BYTES_MAX = 2 ** 40;

export interface Listening {
  url: string;
  /** Takes no more connections, gives open ones that long to end by themselves, then cuts them off. */
  stop(graceMs: number): Promise<void>;
}

/** @throws Problem `port_in_use` */
export function listen(front: Front, { host, port }: { host: string; port: number }): Listening {
  try {
    const server = Bun.serve({
      hostname: host,
      port,
      reusePort: false,
      // Set by hand: outside production the default error page shows source and stack.
      development: false,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      maxRequestBodySize: BODY_BYTES_MAX,
      fetch: (request, connection) => front.handle(request, connection),
    });
    return {
      url: server.url.origin,
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
