const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_PART = Buffer.from("0\r\n\r\n");

/** What stands at the head of the bytes of a connection so far: a whole answer, or not yet. */
export type Answer = { ok: true; status: number; body: Buffer } | { ok: false };

const PARTIAL: Answer = { ok: false };

/**
 * Reads an HTTP/1.1 answer of known length or in parts. One request is under way on a connection at a time, so whatever
 * came belongs to it. The body is a view of `bytes`; that of an answer in parts has the sizes of the parts in it.
 */
export function readAnswer(bytes: Buffer): Answer {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return PARTIAL;
  const head = bytes.toString("latin1", 0, headEnd);
  const body = bytes.subarray(headEnd + HEAD_END.length);
  const status = Number(head.slice(9, 12));
  if (status === 204) return { ok: true, status, body };
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    return body.length < Number(length) ? PARTIAL : { ok: true, status, body };
  }
  const whole = body.subarray(-LAST_PART.length).equals(LAST_PART);
  return whole ? { ok: true, status, body } : PARTIAL;
}

/** The bytes of a request with a JSON body, or of a GET without one. */
export function requestBytes(url: string, body?: unknown): Uint8Array<ArrayBuffer> {
  return textRequestBytes(url, body === undefined ? undefined : JSON.stringify(body));
}

/** As `requestBytes`, with a body that is JSON text already. */
export function textRequestBytes(url: string, text?: string): Uint8Array<ArrayBuffer> {
  const { host, pathname, search } = new URL(url);
  const lines =
    text === undefined
      ? [`GET ${pathname}${search} HTTP/1.1`, `host: ${host}`]
      : [
          `POST ${pathname}${search} HTTP/1.1`,
          `host: ${host}`,
          "content-type: application/json",
          `content-length: ${Buffer.byteLength(text)}`,
        ];
  return new Uint8Array(Buffer.from(`${lines.join("\r\n")}\r\n\r\n${text ?? ""}`));
}
