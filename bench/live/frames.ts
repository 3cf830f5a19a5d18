/** The client's side of RFC 6455, as far as a load client needs it. */

export const opcodes = { text: 1, close: 8, ping: 9, pong: 10 } as const;

const MASK_BIT = 0x80;
const FINAL_BIT = 0x80;

/** Length of a frame's header and of its payload. */
export interface FrameSize {
  header: number;
  payload: number;
}

/**
 * The size of the frame that begins at an offset, or undefined while its header has not come whole. Frames of a server
 * are not masked.
 */
export function frameSizeAt(bytes: Buffer, at: number): FrameSize | undefined {
  if (bytes.length < at + 2) return undefined;
  const short = (bytes[at + 1] ?? 0) & 0x7f;
  if (short < 126) return { header: 2, payload: short };
  if (short === 126) {
    return bytes.length < at + 4
      ? undefined
      : { header: 4, payload: ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0) };
  }
  if (bytes.length < at + 10) return undefined;
  return { header: 10, payload: Number(bytes.readBigUInt64BE(at + 2)) };
}

/** A whole frame as a client sends it. The mask is four zeros, which the protocol allows and which changes nothing. */
export function clientFrame(payload: string | Buffer, opcode: number = opcodes.text): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload) : payload;
  const short = body.length < 126;
  const header = Buffer.alloc(short ? 6 : 8);
  header[0] = FINAL_BIT | opcode;
  header[1] = MASK_BIT | (short ? body.length : 126);
  if (!short) header.writeUInt16BE(body.length, 2);
  return Buffer.concat([header, body]);
}

/** The request that turns a connection into a WebSocket. */
export function upgradeRequest(path: string, host: string): Buffer {
  const key = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64");
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${key}`,
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
}
