import type { Socket } from "bun";
import { clientFrame, frameSizeAt, opcodes, upgradeRequest } from "./frames.ts";
import type { Role, Since, Wire } from "./wire.ts";

/** Everyone is to be in the room within this. */
const JOIN_MS_MAX = 60_000;
/** A connection without an answer for so long is tried again. */
const RETRY_MS = 10_000;
/** Connections under way together, where it is not measured how many at once a server can take. */
const AT_ONCE = 200;
const UPGRADED = "HTTP/1.1 101";
const HEADER_END = Buffer.from("\r\n\r\n");

interface Connection {
  readonly role: Role;
  /** Its index among those of its role. */
  readonly place: number;
  readonly since: Since | undefined;
  socket: Socket<Connection> | undefined;
  isUpgraded: boolean;
  isJoined: boolean;
  /** We have cut it ourselves. */
  isGone: boolean;
  openedAtMs: number;
  /** Bytes that do not make a header, or a whole frame that must be read, yet. */
  rest: Buffer | undefined;
  /** Bytes of a delivery that are still to come. */
  skip: number;
  /** Deliveries so far. */
  received: number;
  /** The times in its deliveries are read. */
  readonly isSampled: boolean;
  unsent: Buffer | undefined;
}

/** Connections that are on their way into the room. */
interface Joining {
  readonly role: Role;
  /** Their places: from the first one to before the end. */
  readonly first: number;
  readonly end: number;
  /** The first that was not opened yet. */
  next: number;
  left: number;
  readonly done: PromiseWithResolvers<void>;
  readonly takenMs: number[];
  readonly fromMs: number;
}

/** What hears of a crowd. */
export interface CrowdListener {
  /** The deliveries `from` to `from + count - 1` of a connection, counted from 0, have come. */
  delivered(from: number, count: number): void;
  /** A delivery of a sampled connection begins at an offset of these bytes. */
  sampled(bytes: Buffer, at: number): void;
}

/**
 * Many WebSocket clients on plain TCP sockets. A delivery is counted by the length in its header and one byte that marks
 * it, and otherwise not looked at, so that the clients cost less than the server that is measured.
 */
export class Crowd {
  readonly #address: { hostname: string; port: number };
  readonly #wire: Wire;
  readonly #connections: Record<Role, Connection[]> = { subscriber: [], publisher: [] };
  #joining = newJoining("subscriber", { first: 0, count: 0 });
  #publications = 0;
  listener: CrowdListener | undefined;
  /** The first thing that went wrong. */
  failure: Error | undefined;
  /** Publications that the server has acknowledged, where its protocol does so. */
  published = 0;
  deliveries = 0;
  bytes = 0;
  /** Where the room stands as far as the server told. */
  position: Since = { epoch: "", offset: 0 };

  constructor(url: string, wire: Wire) {
    const { hostname, port } = new URL(url);
    this.#address = { hostname, port: Number(port) };
    this.#wire = wire;
  }

  get subscribers(): number {
    return this.#connections.subscriber.length;
  }

  /**
   * Opens connections, `atOnce` of them before the first has joined; resolves when all are joined, with how long after the
   * beginning each of them was, in ms. One that is cut off or has no answer for long is tried again, as any client would.
   */
  async join(
    role: Role,
    count: number,
    options: { since?: Since; sampleEvery?: number; atOnce?: number } = {},
  ): Promise<number[]> {
    if (count === 0) return [];
    const all = this.#connections[role];
    const joining = newJoining(role, { first: all.length, count });
    for (let at = 0; at < count; at++) {
      const isSampled = at % (options.sampleEvery ?? count) === 0;
      all.push(newConnection({ role, place: all.length, since: options.since, isSampled }));
    }
    this.#joining = joining;
    const retrying = setInterval(() => this.#retryLate(joining), RETRY_MS / 10);
    const late = (): void => this.fail(`${joining.left} of ${count} did not join in time`);
    const timer = setTimeout(late, JOIN_MS_MAX);
    for (let at = 0; at < (options.atOnce ?? AT_ONCE); at++) this.#openNext();
    try {
      await joining.done.promise;
    } finally {
      clearTimeout(timer);
      clearInterval(retrying);
    }
    return joining.takenMs;
  }

  /** Publishes some JSON texts, in one write. */
  publish(texts: readonly string[]): void {
    const [publisher] = this.#connections.publisher;
    if (publisher === undefined) throw new Error("nobody is there to publish");
    const frames = texts.map((json) =>
      clientFrame(this.#wire.publication(json, this.#publications++)),
    );
    this.#write(publisher, Buffer.concat(frames));
  }

  /** Cuts the connections of a role, without a word. */
  drop(role: Role): void {
    for (const connection of this.#connections[role]) {
      connection.isGone = true;
      connection.socket?.terminate();
    }
    this.#connections[role] = [];
  }

  readonly #handlers = {
    binaryType: "buffer" as const,
    open: (socket: Socket<Connection>): void => {
      const connection = socket.data;
      if (connection.isGone) {
        socket.terminate();
        return;
      }
      connection.socket = socket;
      socket.setNoDelay(true);
      const { hostname, port } = this.#address;
      const path = this.#wire.path(connection.role);
      this.#write(connection, upgradeRequest(path, `${hostname}:${port}`));
    },
    data: (socket: Socket<Connection>, bytes: Buffer): void => this.#receive(socket.data, bytes),
    drain: (socket: Socket<Connection>): void => {
      const { unsent } = socket.data;
      socket.data.unsent = undefined;
      if (unsent !== undefined) this.#write(socket.data, unsent);
    },
    close: (socket: Socket<Connection>): void => {
      const connection = socket.data;
      if (connection.isGone) return;
      if (connection.isJoined) this.fail(`a ${connection.role} was cut off`);
      else this.#retry(connection);
    },
    error: (_: Socket<Connection>, error: Error): void => this.fail(error.message),
  };

  #openNext(): void {
    const { role, end } = this.#joining;
    if (this.#joining.next === end) return;
    const connection = this.#connections[role][this.#joining.next++];
    if (connection !== undefined) this.#open(connection);
  }

  #open(connection: Connection): void {
    connection.openedAtMs = performance.now();
    Bun.connect({ ...this.#address, data: connection, socket: this.#handlers }).catch(
      (error: Error) => this.fail(`a ${connection.role} cannot connect: ${error.message}`),
    );
  }

  /** Gives up on connections that had no answer for long: the listen queue had no place for them. */
  #retryLate({ role, first, next }: Joining): void {
    const before = performance.now() - RETRY_MS;
    for (const connection of this.#connections[role].slice(first, next)) {
      if (!connection.isJoined && connection.openedAtMs < before) this.#retry(connection);
    }
  }

  /** Puts a new connection in the place of one that is of no use. */
  #retry(connection: Connection): void {
    connection.isGone = true;
    connection.socket?.terminate();
    const again = newConnection(connection);
    this.#connections[again.role][again.place] = again;
    this.#open(again);
  }

  #write(connection: Connection, bytes: Buffer): void {
    const { socket, unsent } = connection;
    if (unsent !== undefined) {
      connection.unsent = Buffer.concat([unsent, bytes]);
      return;
    }
    const written = Math.max(0, socket?.write(bytes) ?? 0);
    if (written < bytes.length) connection.unsent = Buffer.from(bytes.subarray(written));
  }

  #receive(connection: Connection, received: Buffer): void {
    const { rest, isGone } = connection;
    if (isGone) return;
    const bytes = rest === undefined ? received : Buffer.concat([rest, received]);
    connection.rest = undefined;
    let at = connection.isUpgraded ? 0 : this.#upgrade(connection, bytes);
    if (connection.skip > 0) {
      at = Math.min(connection.skip, bytes.length);
      connection.skip -= at;
    }
    const { mark } = this.#wire;
    let count = 0;
    while (at < bytes.length) {
      const size = frameSizeAt(bytes, at);
      const payloadAt = at + (size?.header ?? 0);
      const seen = Math.min(size?.payload ?? 0, mark.at + 1);
      if (size === undefined || payloadAt + seen > bytes.length) break;
      const end = payloadAt + size.payload;
      const opcode = (bytes[at] ?? 0) & 15;
      if (opcode === opcodes.text && seen > mark.at && bytes[payloadAt + mark.at] === mark.byte) {
        if (connection.isSampled) this.listener?.sampled(bytes, payloadAt);
        count++;
        connection.skip = Math.max(0, end - bytes.length);
        at = Math.min(end, bytes.length);
        continue;
      }
      if (end > bytes.length) break;
      this.#react(connection, opcode, bytes.subarray(payloadAt, end));
      at = end;
    }
    if (at < bytes.length) connection.rest = Buffer.from(bytes.subarray(at));
    this.bytes += received.length;
    this.#deliver(connection, count);
  }

  #deliver(connection: Connection, count: number): void {
    if (count === 0) return;
    const from = connection.received;
    connection.received += count;
    this.deliveries += count;
    this.listener?.delivered(from, count);
  }

  /** Reads the answer to the upgrade; gives where the frames begin. */
  #upgrade(connection: Connection, bytes: Buffer): number {
    const end = bytes.indexOf(HEADER_END);
    if (end < 0) {
      connection.rest = Buffer.from(bytes);
      return bytes.length;
    }
    if (bytes.toString("latin1", 0, UPGRADED.length) !== UPGRADED) {
      this.fail(bytes.toString("latin1"));
      return bytes.length;
    }
    connection.isUpgraded = true;
    if (this.#wire.joinsAtUpgrade) this.#join(connection);
    return end + HEADER_END.length;
  }

  #react(connection: Connection, opcode: number, payload: Buffer): void {
    if (opcode === opcodes.ping) this.#write(connection, clientFrame(payload, opcodes.pong));
    if (opcode === opcodes.close) this.fail(`closed: ${payload.toString("latin1")}`);
    if (opcode !== opcodes.text) return;
    const { role, since } = connection;
    const reaction = this.#wire.react(payload.toString(), role, since);
    if (reaction.failed !== undefined) this.fail(reaction.failed);
    if (reaction.published === true) this.published++;
    Object.assign(this.position, reaction.position);
    if (reaction.send !== undefined) this.#write(connection, clientFrame(reaction.send));
    if (reaction.joined === true) this.#join(connection);
  }

  #join(connection: Connection): void {
    if (connection.isJoined) return;
    connection.isJoined = true;
    const joining = this.#joining;
    joining.takenMs.push(performance.now() - joining.fromMs);
    if (--joining.left === 0) joining.done.resolve();
    else this.#openNext();
  }

  /** Notes the first thing that went wrong. */
  fail(reason: string): void {
    this.failure ??= new Error(reason);
    this.#joining.done.reject(this.failure);
  }
}

function newConnection({
  role,
  place,
  since,
  isSampled,
}: Pick<Connection, "role" | "place" | "since" | "isSampled">): Connection {
  return {
    role,
    place,
    since,
    isSampled,
    socket: undefined,
    openedAtMs: 0,
    isUpgraded: false,
    isJoined: false,
    isGone: false,
    rest: undefined,
    skip: 0,
    received: 0,
    unsent: undefined,
  };
}

function newJoining(role: Role, { first, count }: { first: number; count: number }): Joining {
  return {
    role,
    first,
    end: first + count,
    next: first,
    left: count,
    done: Promise.withResolvers(),
    takenMs: [],
    fromMs: performance.now(),
  };
}
