/** How the servers of this bench are spoken to: what joins the room, what publishes, and which frames are deliveries. */

export type WireName = "plain" | "socket.io" | "slipstream";
export type Role = "subscriber" | "publisher";

/** Room of the bench where the protocol has names for rooms. */
export const ROOM = "bench";

/** Where a subscriber goes on. */
export interface Since {
  epoch: string;
  offset: number;
}

/** What a frame that is no delivery asks for. */
export interface Reaction {
  /** Frame to send back. */
  send?: string;
  /** The connection is in the room, with nothing left to be replayed. */
  joined?: true;
  /** Where the room stands. */
  position?: Partial<Since>;
  /** A publication was acknowledged. */
  published?: true;
  failed?: string;
}

export interface Wire {
  path(role: Role): string;
  /** In the room as soon as the connection is a WebSocket. */
  readonly joinsAtUpgrade: boolean;
  /** A text frame is a delivery where its payload has this byte there. */
  readonly mark: { at: number; byte: number };
  react(text: string, role: Role, since?: Since): Reaction;
  /** The frame that publishes some JSON. */
  publication(json: string, number: number): string;
}

const byteOf = (letter: string): number => letter.charCodeAt(0);

/** Nothing but the data itself: raw Bun, and `ws` on Node. */
const plain: Wire = {
  path: (role) => `/${role}`,
  joinsAtUpgrade: true,
  mark: { at: 0, byte: byteOf("{") },
  react: () => ({}),
  publication: (json) => json,
};

/** Engine.IO 4 with Socket.IO 5 in it, over a WebSocket from the start. */
const socketIo: Wire = {
  path: (role) => `/socket.io/?EIO=4&transport=websocket&role=${role}`,
  joinsAtUpgrade: false,
  mark: { at: 1, byte: byteOf("2") },
  react(text) {
    if (text.startsWith("0")) return { send: "40" };
    if (text.startsWith("40")) return { joined: true };
    if (text === "2") return { send: "3" };
    return { failed: text };
  },
  publication: (json) => `42["publish",${json}]`,
};

/** A frame of ours, as far as this client reads it. */
interface SlipstreamFrame {
  type: string;
  epoch?: string;
  offset?: number;
}

const slipstream: Wire = {
  path: () => "/live",
  joinsAtUpgrade: false,
  // `{"type":"message"`: no other type that comes here begins with an m.
  mark: { at: '{"type":"'.length, byte: byteOf("m") },
  react(text, role, since) {
    const { type, epoch, offset }: SlipstreamFrame = JSON.parse(text);
    switch (type) {
      case "welcome":
        return role === "publisher"
          ? { joined: true }
          : { send: JSON.stringify({ type: "subscribe", id: "s", room: ROOM, since }) };
      case "subscribed":
        return epoch === undefined || offset === undefined ? {} : { position: { epoch, offset } };
      case "caught_up":
        return { joined: true };
      case "published":
        return offset === undefined
          ? { published: true }
          : { published: true, position: { offset } };
      case "ping":
        return { send: '{"type":"pong"}' };
      case "error":
      case "unsubscribed":
      case "draining":
        return { failed: text };
      default:
        return {};
    }
  },
  publication: (json, number) =>
    `{"type":"publish","id":"${number}","room":"${ROOM}","data":${json}}`,
};

export const wires: Readonly<Record<WireName, Wire>> = {
  plain,
  "socket.io": socketIo,
  slipstream,
};
