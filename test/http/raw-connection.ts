import { connect } from "node:net";

/** A TCP connection to a server, for requests that no HTTP client would send, or not at that pace. */
export interface RawConnection extends Disposable {
  write(bytes: string | Uint8Array): void;
  /** One chunk of a chunked body; an empty one ends it. */
  writeChunk(text: string): void;
  /** Reads nothing more until it is told to go on. */
  pause(): void;
  resume(): void;
  /** Resolves with all that came so far once it holds `wanted`. @throws Error when the server closes before */
  until(wanted: string): Promise<string>;
  /** Resolves with all that came, when the server has closed. */
  untilClosed(): Promise<string>;
}

/** Connects to `url`'s host and port. */
export async function openRaw(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = "";
  let closed = false;
  const ended = Promise.withResolvers<void>();
  let changed = Promise.withResolvers<void>();
  const tell = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  socket.setEncoding("utf8");
  socket.on("data", (part) => {
    text += String(part);
    tell();
  });
  // A reset is an end like any other here: what came before it is what the test looks at.
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
    ended.resolve();
    tell();
  });
  const connected = Promise.withResolvers<void>();
  socket.once("connect", () => connected.resolve());
  socket.once("error", (error) => connected.reject(error));
  await connected.promise;
  return {
    write: (bytes) => void socket.write(bytes),
    writeChunk: (part) =>
      void socket.write(`${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    async until(wanted) {
      while (!text.includes(wanted)) {
        if (closed) throw new Error(`closed before ${wanted} came: ${text}`);
        await changed.promise;
      }
      return text;
    },
    async untilClosed() {
      await ended.promise;
      return text;
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}
