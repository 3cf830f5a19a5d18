import { connect, type Socket } from "node:net";

/** Opcodes of RFC 6455, section 5.2. */
export const OPCODES = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

/** A frame as the client writes it; by default a whole and masked text. */
export interface FrameOptions {
  opcode?: number;
  final?: boolean;
  masked?: boolean;
  /** The three reserved bits, 0 to 7. */
  reserved?: number;
  /** What the header says; by default what the payload has. */
  length?: bigint;
}

/** A frame as it came. */
export interface RawFrame {
  opcode: number;
  payload: Buffer;
}

/** How a connection ended: by a close frame with its code, or without one. */
export interface Ended {
  code: number | undefined;
  reason: string;
}

/** A JSON frame of the server. */
export interface Json {
  type: string;
  id?: string;
  code?: string;
  [field: string]: unknown;
}

/** Settings of a server that lets a test's clients ask as much as they like. */
export const FAST = { WS_RATE: "100000", WS_BURST: "100000" };

const MASK = Buffer.from([0x12, 0x34, 0x56, 0x78]);

/** Bytes of one frame. */
export function frameBytes(
  payload: string | Uint8Array,
  { opcode = OPCODES.text, final = true, masked = true, reserved = 0, length }: FrameOptions = {},
): Buffer {
  const body = Buffer.from(payload);
  const size = length ?? BigInt(body.length);
  const header = Buffer.alloc(size < 126n ? 2 : size < 65_536n ? 4 : 10);
  header[0] = (final ? 0x80 : 0) | (reserved << 4) | opcode;
  header[1] = (masked ? 0x80 : 0) | (size < 126n ? Number(size) : size < 65_536n ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(Number(size), 2);
  if (header.length === 10) header.writeBigUInt64BE(size, 2);
  if (!masked) return Buffer.concat([header, body]);
  const hidden = Buffer.from(body.map((byte, index) => byte ^ (MASK[index % 4] ?? 0)));
  return Buffer.concat([header, MASK, hidden]);
}

/** Lines of a good handshake, without the request line and Host. */
export const HANDSHAKE: Readonly<Record<string, string>> = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
};

type Answers = "all" | "native" | "json" | "none";

export interface ConnectOptions {
  path?: string;
  /** Headers beside those of the handshake; an empty one leaves it out. */
  headers?: Readonly<Record<string, string>>;
  /** Which pings it answers by itself; all by default. */
  answers?: Answers;
}

/** Our own WebSocket client, on TCP: it can write what no client would, and stop reading. */
export class RawClient implements Disposable {
  readonly #socket: Socket;
  readonly #answers: Answers;
  #bytes: Buffer = Buffer.alloc(0);
  #frames: Json[] = [];
  #changed = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<Ended>();
  #isEnded = false;
  #closed: Ended = { code: undefined, reason: "" };
  /** Frames that are no text, as they came. */
  readonly controls: RawFrame[] = [];
  /** How many frames came, of any kind. */
  received = 0;

  constructor(socket: Socket, rest: Buffer, answers: Answers) {
    this.#socket = socket;
    this.#answers = answers;
    socket.on("data", (part: Buffer) => this.#take(part));
    socket.on("close", () => this.#end());
    this.#take(rest);
  }

  /** Resolves when the server has closed the connection, or is gone. */
  get ended(): Promise<Ended> {
    return this.#ended.promise;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  write(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  frame(payload: string | Uint8Array, options: FrameOptions = {}): void {
    this.write(frameBytes(payload, options));
  }

  send(value: unknown): void {
    this.frame(JSON.stringify(value));
  }

  /** Stops reading: the server's bytes stay in the system's buffers. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Breaks the connection off, as a network does. */
  drop(): void {
    this.#socket.destroy();
  }

  /** Takes the first frame that `wanted` is true of; those before it stay. @throws Error when the connection ends before */
  async take(wanted: (frame: Json) => boolean): Promise<Json> {
    for (;;) {
      const index = this.#frames.findIndex(wanted);
      const [found] = index < 0 ? [] : this.#frames.splice(index, 1);
      if (found !== undefined) return found;
      if (this.#isEnded) throw new Error(`ended (${this.#closed.code}) before the frame came`);
      await this.#changed.promise;
    }
  }

  /** Waits until something is true that this client is not told of: it asks the server again and again. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await this.ask({ type: "ping", id: crypto.randomUUID() });
  }

  /** The next frame of a type. */
  next(type: string): Promise<Json> {
    return this.take((frame) => frame.type === type);
  }

  /** Sends a request and takes the frame that bears its id. */
  ask(request: { id: string; [field: string]: unknown }): Promise<Json> {
    this.send(request);
    return this.take((frame) => frame.id === request.id);
  }

  /** Takes all frames of a type that are there now. */
  all(type: string): Json[] {
    const found = this.#frames.filter((frame) => frame.type === type);
    this.#frames = this.#frames.filter((frame) => frame.type !== type);
    return found;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #take(part: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? part : Buffer.concat([this.#bytes, part]);
    let at = 0;
    for (let size = sizeAt(this.#bytes, at); size !== undefined; size = sizeAt(this.#bytes, at)) {
      const payload = this.#bytes.subarray(at + size.header, at + size.header + size.payload);
      this.#hear({ opcode: (this.#bytes[at] ?? 0) & 0x0f, payload });
      at += size.header + size.payload;
    }
    this.#bytes = this.#bytes.subarray(at);
    this.#tell();
  }

  #hear({ opcode, payload }: RawFrame): void {
    this.received++;
    if (opcode === OPCODES.text || opcode === OPCODES.continuation) {
      this.#hearText(payload.toString());
      return;
    }
    this.controls.push({ opcode, payload: Buffer.from(payload) });
    if (opcode === OPCODES.ping && (this.#answers === "all" || this.#answers === "native"))
      this.frame(payload, { opcode: OPCODES.pong });
    if (opcode !== OPCODES.close) return;
    this.#closed = {
      code: payload.length < 2 ? 1005 : payload.readUInt16BE(0),
      reason: payload.subarray(2).toString(),
    };
    this.frame(payload.subarray(0, 2), { opcode: OPCODES.close });
  }

  #hearText(text: string): void {
    const frame: Json = JSON.parse(text);
    const answers = this.#answers === "all" || this.#answers === "json";
    if (frame.type === "ping" && answers) this.send({ type: "pong" });
    else this.#frames.push(frame);
  }

  #end(): void {
    this.#isEnded = true;
    this.#ended.resolve(this.#closed);
    this.#tell();
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Header and payload of the frame at a place, once it is whole. The server masks nothing. */
function sizeAt(bytes: Buffer, at: number): { header: number; payload: number } | undefined {
  const size = headerAt(bytes, at);
  if (size === undefined || bytes.length < at + size.header + size.payload) return undefined;
  return size;
}

function headerAt(bytes: Buffer, at: number): { header: number; payload: number } | undefined {
  if (bytes.length < at + 2) return undefined;
  const short = (bytes[at + 1] ?? 0) & 0x7f;
  if (short < 126) return { header: 2, payload: short };
  if (short === 126)
    return bytes.length < at + 4 ? undefined : { header: 4, payload: bytes.readUInt16BE(at + 2) };
  if (bytes.length < at + 10) return undefined;
  return { header: 10, payload: Number(bytes.readBigUInt64BE(at + 2)) };
}

/** Sends a handshake and gives the head of the answer, and the socket with what came after it. */
export async function shakeHands(
  url: string,
  { path = "/live", headers = {} }: ConnectOptions = {},
): Promise<{ socket: Socket; head: string; rest: Buffer }> {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  const all = Object.entries({ Host: host, ...HANDSHAKE, ...headers });
  const lines = all.filter(([, value]) => value !== "").map(([name, value]) => `${name}: ${value}`);
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
  const answer = Promise.withResolvers<void>();
  let bytes: Buffer = Buffer.alloc(0);
  const take = (part: Buffer): void => {
    bytes = Buffer.concat([bytes, part]);
    if (bytes.includes("\r\n\r\n")) answer.resolve();
  };
  socket.on("data", take);
  // A reset is an end like any other: the close that follows it is what is looked at.
  socket.on("error", () => {});
  socket.once("close", () => answer.resolve());
  await answer.promise;
  socket.off("data", take);
  const end = bytes.indexOf("\r\n\r\n");
  return {
    socket,
    head: bytes.subarray(0, end < 0 ? bytes.length : end).toString(),
    rest: end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 4),
  };
}

/** Connects; the welcome is the first frame. @throws Error with the answer where it is no connection */
export async function openRawClient(url: string, options: ConnectOptions = {}): Promise<RawClient> {
  const { socket, head, rest } = await shakeHands(url, options);
  if (!head.startsWith("HTTP/1.1 101 ")) {
    socket.destroy();
    throw new Error(`no connection: ${head}`);
  }
  return new RawClient(socket, rest, options.answers ?? "all");
}
