import { expect, test } from "bun:test";
import { heapStats } from "bun:jsc";
import { metrics } from "../../src/telemetry/metrics.ts";
import type { InstrumentName } from "../../src/telemetry/instruments.ts";
import { startCollector } from "../support/collector.ts";
import { eventually } from "../support/process.ts";
import { startServer, type TestServer } from "../support/server.ts";

const REQUESTS = 20_000;
const TOGETHER = 50;
/** Of live heap, after all of them. A span that is kept for each would be some 20 MB. */
const GROWTH_BYTES_MAX = 8 * 1024 * 1024;

/** What requests can go wrong by: half of them have their clients go in the midst of a body. */
const FAILING = [
  { target: "POST /api/v1/collections", body: "{bad" },
  { target: "POST /api/v1/collections", body: { name: "" } },
  { target: "GET /nowhere", body: undefined },
  { target: "POST /api/v1/collections/none/search", body: { query: "flag" } },
] as const;

/** Sends a request's head and a part of its body, and goes when the server has had a turn to begin with it. */
async function abort(hostname: string, port: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname,
    port,
    socket: { data() {}, close: () => resolve(), error: () => resolve() },
  });
  socket.write(
    'POST /api/v1/collections HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"name":',
  );
  socket.flush();
  await new Promise(setImmediate);
  socket.terminate();
  await promise;
}

async function refuse(server: TestServer, { target, body }: (typeof FAILING)[number]) {
  const { status } = await server.call(target, body);
  if (status < 400) throw new Error(`answered ${status}`);
}

async function misuse(server: TestServer, count: number): Promise<void> {
  const { hostname, port } = new URL(server.url);
  for (let done = 0; done < count; done += TOGETHER) {
    await Promise.all(
      Array.from({ length: TOGETHER }, (_, at) => {
        const failing = FAILING[(at >> 1) % FAILING.length];
        if (at % 2 === 0 || failing === undefined) return abort(hostname, Number(port));
        return refuse(server, failing);
      }),
    );
  }
}

function valueOf(name: InstrumentName): number {
  const point = metrics.read().find((family) => family.name === name)?.points[0];
  return point !== undefined && "value" in point ? point.value : 0;
}

function liveBytes(): number {
  Bun.gc(true);
  return heapStats().heapSize;
}

const idle = () =>
  eventually("no request runs and no span is open", () =>
    valueOf("http_server_active_requests") === 0 && valueOf("trace_requests_open") === 0
      ? true
      : undefined,
  );

test.each(["light", "detailed"] as const)(
  "twenty thousand requests that fail or are broken off leave no span and no memory behind (%s traces)",
  async (detail) => {
    await using collector = startCollector({ keep: false });
    await using server = await startServer({
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        TRACE_DETAIL: detail,
        LOG_LEVEL: "critical",
      },
    });
    await misuse(server, REQUESTS / 10);
    await idle();
    const before = liveBytes();
    await misuse(server, REQUESTS);
    await idle();
    expect(liveBytes() - before).toBeLessThan(GROWTH_BYTES_MAX);
  },
  180_000,
);
