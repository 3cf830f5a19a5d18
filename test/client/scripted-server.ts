import type { ServerWebSocket } from "bun";
import { eventually } from "../support/process.ts";

/** A frame as it came or as it goes: whatever JSON object. */
export type Frame = Readonly<Record<string, unknown>>;

/** One connection, seen from the server: the test says what the server says. */
export interface Peer {
  readonly session: string | null;
  readonly frames: readonly Frame[];
  readonly closed: boolean;
  send(...frames: Frame[]): void;
  /** The next frame of that type that has not been asked for yet. */
  next(type: string): Promise<Frame>;
  /** Takes the next `subscribe` and answers it. */
  takeSubscribe(answer?: Frame): Promise<Frame>;
  close(code: number): void;
}

export interface ScriptedServer extends Disposable {
  url: string;
  readonly peers: readonly Peer[];
  /** The connection of that number, from 0, when it is there; it has been welcomed. */
  peer(index: number): Promise<Peer>;
}

export const WELCOME: Frame = {
  type: "welcome",
  protocol: "slipstream.v1",
  session: "s",
  epoch: "e1",
  time: "2026-01-01T00:00:00.000Z",
  auth: "ok",
  heartbeat: { interval_ms: 15_000, stale_ms: 45_000 },
  limits: { frame_bytes: 65_536, subscriptions: 256, rate: 50, burst: 100 },
};

interface Data {
  index: number;
}

/** A server that speaks the protocol as a test tells it to, for what a healthy server seldom does. */
export function scriptedServer({
  welcome = WELCOME,
}: { welcome?: Frame | null } = {}): ScriptedServer {
  const peers: (Peer & { hear(frame: Frame): void; gone(): void })[] = [];
  const server = Bun.serve<Data>({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, connection) {
      const session = new URL(request.url).searchParams.get("session");
      const index = peers.length;
      sessions.push(session);
      if (connection.upgrade(request, { data: { index } })) return undefined;
      return new Response("no socket", { status: 400 });
    },
    websocket: {
      open(ws) {
        peers[ws.data.index] = peerOf(ws, sessions[ws.data.index] ?? null);
        if (welcome !== null) ws.send(JSON.stringify(welcome));
      },
      message(ws, text) {
        peers[ws.data.index]?.hear(JSON.parse(String(text)));
      },
      close(ws) {
        peers[ws.data.index]?.gone();
      },
    },
  });
  const sessions: (string | null)[] = [];
  return {
    url: server.url.origin,
    peers,
    peer: (index) => eventually(`connection ${index}`, () => peers[index], { everyMs: 1 }),
    [Symbol.dispose]: () => void server.stop(true),
  };
}

function peerOf(ws: ServerWebSocket<Data>, session: string | null) {
  const frames: Frame[] = [];
  const unread: Frame[] = [];
  let closed = false;
  const next = (type: string): Promise<Frame> =>
    eventually(
      `a frame ${type}`,
      () => {
        const place = unread.findIndex((frame) => frame["type"] === type);
        return place < 0 ? undefined : unread.splice(place, 1)[0];
      },
      { everyMs: 1 },
    );
  const send = (...sent: Frame[]): void => {
    for (const frame of sent) ws.send(JSON.stringify(frame));
  };
  return {
    session,
    frames,
    get closed() {
      return closed;
    },
    send,
    next,
    async takeSubscribe(answer: Frame = {}) {
      const { id, ...asked } = await next("subscribe");
      const sub = `r:${String(asked["room"])}`;
      const plain = {
        type: "subscribed",
        sub,
        epoch: "e1",
        offset: 0,
        recovered: false,
        replay: 0,
      };
      send({ ...plain, id, ...answer });
      return asked;
    },
    close: (code: number) => ws.close(code),
    hear(frame: Frame) {
      frames.push(frame);
      unread.push(frame);
    },
    gone() {
      closed = true;
    },
  };
}

/** A message of the room `news`. */
export function message(offset: number): Frame {
  return {
    type: "message",
    sub: "r:news",
    room: "news",
    offset,
    ts: "2026-01-01T00:00:00.000Z",
    data: offset,
  };
}
