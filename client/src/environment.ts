/** What of a WebSocket is used; a browser's, Bun's, Node's and the `ws` package's all fit. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(
    type: "close",
    listener: (event: { code: number; reason: string }) => void,
  ): void;
  addEventListener(type: "error", listener: () => void): void;
}

export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** What the outside gives to a client: sockets, time, chance, and word that the network may be back. */
export interface Environment {
  socket(url: string): WebSocketLike;
  /** ms, only for differences. */
  now(): number;
  /** Calls once after so many ms; the result calls it off. */
  after(ms: number, call: () => void): () => void;
  /** 0…1, 1 excluded. */
  random(): number;
  /** Calls when the network or the page comes back; the result ends it. */
  onWake(call: () => void): () => void;
}

/** The running program's own. @throws Error where there is no WebSocket and none was given */
export function systemEnvironment(given?: WebSocketConstructor): Environment {
  return {
    socket: (url) => new (given ?? globalWebSocket())(url),
    now: () => performance.now(),
    after(ms, call) {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
    random: Math.random,
    onWake,
  };
}

function globalWebSocket(): WebSocketConstructor {
  // Node before 22 has none; the name must not be touched where it is missing.
  if (typeof WebSocket === "undefined") {
    throw new Error(
      "There is no WebSocket here: use Node 22 or newer, or pass `webSocket` from the `ws` package.",
    );
  }
  return WebSocket;
}

interface EventSourceLike {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

/** A page hears `online` and when it is shown or hidden; elsewhere there are no such events. */
function onWake(call: () => void): () => void {
  const document: unknown = Reflect.get(globalThis, "document");
  const ends = [hear(globalThis, "online", call), hear(document, "visibilitychange", call)];
  return () => {
    for (const end of ends) end();
  };
}

function hear(source: unknown, type: string, call: () => void): () => void {
  if (!isEventSource(source)) return () => undefined;
  source.addEventListener(type, call);
  return () => source.removeEventListener(type, call);
}

function isEventSource(value: unknown): value is EventSourceLike {
  return typeof value === "object" && value !== null && "removeEventListener" in value;
}
