import type { Server, WebSocketHandler } from "bun";
import { LIVE_PROTOCOL, type LiveFrame } from "../contract/live.ts";
import { limits } from "../limits.ts";
import { assert, CLOSES, Problem } from "../problems.ts";
import { getLogger } from "../telemetry/logs.ts";
import { authenticate } from "./authenticate.ts";
import { timesOf, type LiveConfig } from "./config.ts";
import { newConnection, type Connection, type Socket } from "./connection.ts";
import { ConnectionRegistry } from "./connection-registry.ts";
import { newCounters, type LiveCounters } from "./counters.ts";
import { createDrain, type Drain } from "./drain.ts";
import type { LiveFeatures } from "./features.ts";
import { checkHandshake } from "./handshake.ts";
import { createOutbox, type Outbox } from "./outbox.ts";
import { createReceiver, type Receiver } from "./receiver.ts";
import { sessionOf } from "./session.ts";
import { createWork } from "./work.ts";

const log = getLogger("live");

/** No close frame came (RFC 6455, section 7.4.1): the network, or the bound on unsent bytes, which Bun tells no other way. */
const ABNORMAL = 1006;

/** The live protocol on a server's sockets. */
export interface Live extends Disposable {
  readonly handlers: WebSocketHandler<Connection>;
  readonly counters: LiveCounters;
  readonly drain: Drain;
  /** From here on connections are taken. Frames of rooms and queries go out through `server`. */
  start(features: LiveFeatures, server: LiveServer): void;
  /**
   * Makes a connection of a request. `query` is that of its address, `requestId` goes back to it. @throws Problem `not_ready`, `upgrade_required`,
   * `invalid_request`
   */
  upgrade(request: Request, server: LiveServer, of: { query: string; requestId: string }): void;
}

/** What a live connection needs of the server. */
export type LiveServer = Pick<Server<Connection>, "upgrade" | "publish" | "subscriberCount">;

export function createLive(config: LiveConfig): Live {
  const counters = newCounters();
  const outbox = createOutbox(counters);
  const work = createWork();
  let receiver: Receiver | undefined;
  const registry = new ConnectionRegistry({
    ...timesOf(config),
    bufferedBytesMax: limits.liveBufferedBytesTotalMax,
    counters,
    onHeld: (ws) => receiver?.hold(ws),
  });
  const drain = createDrain({ registry, outbox, work });
  const started = (): Receiver => {
    assert(receiver !== undefined, "connections are taken after the start");
    return receiver;
  };
  return {
    counters,
    drain,
    handlers: handlersOf({ config, counters, outbox, registry, started }),
    start(features, server) {
      receiver = createReceiver(features, { config, counters, outbox, registry, work, drain });
      const tell = (sub: string, frame: string): void => {
        counters.publications++;
        counters.deliveries += server.subscriberCount(sub);
        server.publish(sub, frame, false);
      };
      features.rooms.listen(tell);
      features.queries.listen(tell);
    },
    upgrade(request, server, { query, requestId }) {
      if (receiver === undefined || drain.isDraining()) {
        const detail =
          receiver === undefined ? "The server is starting." : "The server is stopping.";
        throw new Problem("not_ready", detail, { retryAfterMs: 1000 });
      }
      const isFull = registry.size >= config.wsConnections;
      const refusal = checkHandshake(request, { origins: config.wsOrigins, isFull });
      const session = sessionOf(new URLSearchParams(query).get("session"));
      const nowMs = performance.now();
      const data = newConnection(session, { nowMs, tokens: config.wsFramesBurst, refusal });
      const headers = { "x-request-id": requestId };
      if (!server.upgrade(request, { data, headers }))
        throw new Problem("invalid_request", "The handshake is not one of RFC 6455.");
    },
    [Symbol.dispose]: () => registry[Symbol.dispose](),
  };
}

interface HandlersOptions {
  config: LiveConfig;
  counters: LiveCounters;
  outbox: Outbox;
  registry: ConnectionRegistry;
  started: () => Receiver;
}

function handlersOf(options: HandlersOptions): WebSocketHandler<Connection> {
  const { config, counters, outbox, registry, started } = options;
  return {
    maxPayloadLength: limits.liveFrameBytesMax,
    backpressureLimit: limits.liveBufferedBytesMax,
    closeOnBackpressureLimit: true,
    // A second net below our own sweep, which Bun's cannot replace: what goes out counts as activity there.
    idleTimeout: Math.min(960, Math.max(8, config.wsStaleSeconds)),
    sendPings: false,
    perMessageDeflate: false,
    open(ws) {
      const { session, refusal } = ws.data;
      if (refusal !== undefined) {
        counters.connectionsRefused++;
        log.info("live.refused", { session, reason: refusal });
        ws.close(CLOSES[refusal].code, CLOSES[refusal].reason);
        return;
      }
      counters.connections++;
      counters.connectionsOpened++;
      registry.connect(ws);
      outbox.send(ws, welcome(session, started().epoch, config));
      log.info("ws.connected", () => ({ connection_id: session }));
    },
    message(ws, message) {
      if (ws.data.closed) return;
      counters.framesIn++;
      started().receive(ws, message);
    },
    pong(ws) {
      registry.touch(ws.data, performance.now());
    },
    ping(ws) {
      registry.touch(ws.data, performance.now());
    },
    drain(ws) {
      registry.drained(ws.data, performance.now());
      outbox.drained(ws);
      started().release(ws);
    },
    close(ws, code, reason) {
      close(ws, { code, reason }, options);
    },
    error(error, ws) {
      counters.failures++;
      log.error("live.handler_failed", { session: ws.data.session, error });
    },
  };
}

function close(
  ws: Socket,
  { code, reason }: { code: number; reason: string },
  { counters, outbox, registry, started }: HandlersOptions,
): void {
  const { data } = ws;
  if (data.closed) return;
  data.closed = true;
  if (data.refusal !== undefined) return;
  counters.connections--;
  if (code === ABNORMAL) counters.connectionsLost++;
  registry.disconnect(ws);
  outbox.drained(ws);
  log.info("ws.disconnected", () => ({
    connection_id: data.session,
    code,
    reason,
    rooms: roomsOf(data),
  }));
  started().end(ws);
}

function roomsOf({ subscriptions }: Connection): string[] {
  return [...(subscriptions?.values() ?? [])].flatMap(({ room }) => room ?? []);
}

function welcome(session: string, epoch: string, config: LiveConfig): LiveFrame<"welcome"> {
  const { heartbeatMs, staleMs } = timesOf(config);
  return {
    type: "welcome",
    protocol: LIVE_PROTOCOL,
    session,
    epoch,
    time: new Date().toISOString(),
    auth: authenticate(undefined).auth,
    heartbeat: { interval_ms: heartbeatMs, stale_ms: staleMs },
    limits: {
      frame_bytes: limits.liveFrameBytesMax,
      subscriptions: limits.liveSubscriptionsMax,
      rate: config.wsFramesPerSecond,
      burst: config.wsFramesBurst,
    },
  };
}
