/** A frame of the server's, as far as readers look at it. */
interface Heard {
  type: string;
  sub?: string;
  offset?: number;
  epoch?: string;
  recovered?: boolean;
  reason?: string;
  data?: unknown;
}

/** One subscription that goes on over any number of connections. */
export interface LiveReader {
  /** What the messages' data was, in the order in which they came, each offset once. */
  readonly received: readonly unknown[];
  /** The last offset heard, 0 before the first. */
  readonly offset: number;
  /** Offsets that did not follow the one before. */
  readonly holes: readonly { after: number; next: number }[];
  /** Answers to subscribing again from a position: whether it was recovered, and why not. */
  readonly resumes: readonly { recovered: boolean; reason: string | undefined }[];
  /** Frames by type, and how sockets were closed by the server. */
  readonly heard: ReadonlyMap<string, number>;
  readonly closeCodes: readonly number[];
  /** Cuts the connection, as a network would; it connects again by itself. False where it has no subscription to lose. */
  drop(): boolean;
  /** Ends it for good. */
  end(): void;
}

const RETRY_MS = 20;

/** Subscribes to a room at `url()` and stays subscribed: after each drop from where it was. */
export function readRoom(url: () => string, room: string): LiveReader {
  const received: unknown[] = [];
  const holes: { after: number; next: number }[] = [];
  const resumes: { recovered: boolean; reason: string | undefined }[] = [];
  const heard = new Map<string, number>();
  const closeCodes: number[] = [];
  let socket: WebSocket | undefined;
  let epoch: string | undefined;
  let offset = 0;
  let ended = false;
  let isSubscribed = false;

  const subscribe = (): void => {
    const since = epoch === undefined ? {} : { since: { epoch, offset } };
    socket?.send(JSON.stringify({ type: "subscribe", id: "s", room, ...since }));
  };
  const subscribed = (frame: Heard): void => {
    isSubscribed = true;
    if (epoch !== undefined)
      resumes.push({ recovered: frame.recovered === true, reason: frame.reason });
    if (epoch === undefined || frame.recovered !== true) offset = frame.offset ?? 0;
    epoch = frame.epoch;
  };
  const message = (frame: Heard): void => {
    const next = frame.offset ?? 0;
    // Delivered once more: at-least-once is the promise over reconnects.
    if (next <= offset) return;
    if (next !== offset + 1) holes.push({ after: offset, next });
    offset = next;
    received.push(frame.data);
  };
  const hear = (frame: Heard): void => {
    heard.set(frame.type, (heard.get(frame.type) ?? 0) + 1);
    if (frame.type === "welcome") subscribe();
    else if (frame.type === "subscribed") subscribed(frame);
    else if (frame.type === "message") message(frame);
    else if (frame.type === "ping") socket?.send('{"type":"pong"}');
  };
  const connect = (): void => {
    if (ended) return;
    const own = new WebSocket(`${url().replace("http", "ws")}/live`);
    socket = own;
    own.addEventListener("message", ({ data }: MessageEvent<string>) => {
      // What an old connection still delivers after a drop would be taken for the new one's.
      if (socket === own) hear(JSON.parse(data));
    });
    own.addEventListener("close", ({ code }) => {
      closeCodes.push(code);
      if (socket !== own) return;
      isSubscribed = false;
      setTimeout(connect, RETRY_MS);
    });
  };
  connect();
  return {
    received,
    holes,
    resumes,
    heard,
    closeCodes,
    get offset() {
      return offset;
    },
    drop() {
      const was = isSubscribed;
      if (was) socket?.terminate();
      isSubscribed = false;
      return was;
    },
    end() {
      ended = true;
      socket?.close();
    },
  };
}

/** Publishes a message to a room over HTTP. */
export function publishTo(
  url: string,
  room: string,
  body: { data: unknown; key?: string },
): Promise<Response> {
  return fetch(`${url}/api/v1/rooms/${room}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}
