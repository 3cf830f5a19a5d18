const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_PART = Buffer.from("0\r\n\r\n");
/** Of the body of an answer that is an error: enough to say what is wrong. */
const REASON_CHARACTERS_MAX = 500;

/** What the bytes of an answer so far come to: not all of it, all of it and as expected, or all of it and an error. */
export type AnswerState =
  | { kind: "partial" }
  | { kind: "expected" }
  | { kind: "wrong"; reason: string };

const PARTIAL: AnswerState = { kind: "partial" };
const EXPECTED: AnswerState = { kind: "expected" };

/** The head of an answer; without a length its body comes in parts. */
interface Head {
  status: number;
  length: number | undefined;
  /** Where the body begins. */
  bodyFrom: number;
}

/**
 * Reads the HTTP/1.1 answers of one connection, of known length or in parts, piece by piece as the socket gives them. One
 * request is under way at a time, so whatever comes belongs to its answer. Where the first piece has the head and the text
 * that is expected, which is so of nearly all, the pieces after it are counted and neither read nor copied.
 */
export class AnswerReader {
  readonly #expected: Buffer;
  #status = 0;
  /** Bytes of the body still to come; undefined until the head has come, and of an answer in parts. */
  #missing: number | undefined;
  /** Copies of what has come and is needed at the end; undefined where it was seen to be as expected. */
  #kept: Buffer[] | undefined = [];

  /** `expected`: text that every answer has, empty where any success will do. */
  constructor(expected: string) {
    this.#expected = Buffer.from(expected);
  }

  /** Takes the next bytes, of which it keeps no view. After the end of an answer the next one begins. */
  take(bytes: Buffer): AnswerState {
    if (this.#missing === undefined) return this.#takeUnknown(bytes);
    this.#missing -= bytes.length;
    this.#keep(bytes);
    if (this.#missing > 0) return PARTIAL;
    return this.#kept === undefined ? this.#end(EXPECTED) : this.#judge(Buffer.concat(this.#kept));
  }

  /** Reads from its start an answer of which it is not known how much is still to come. */
  #takeUnknown(bytes: Buffer): AnswerState {
    const all = this.#kept?.length ? Buffer.concat([...this.#kept, bytes]) : bytes;
    const head = readHead(all);
    if (head === undefined) return this.#keep(bytes);
    this.#status = head.status;
    const body = all.subarray(head.bodyFrom);
    if (head.length === undefined) return hasLastPart(body) ? this.#judge(body) : this.#keep(bytes);
    if (body.length >= head.length) return this.#judge(body);
    this.#missing = head.length - body.length;
    this.#kept = this.#isExpected(body) ? undefined : [Buffer.from(body)];
    return PARTIAL;
  }

  #keep(bytes: Buffer): AnswerState {
    this.#kept?.push(Buffer.from(bytes));
    return PARTIAL;
  }

  /** Says what a whole answer is. */
  #judge(body: Buffer): AnswerState {
    if (this.#isExpected(body)) return this.#end(EXPECTED);
    const shown = body.toString().slice(0, REASON_CHARACTERS_MAX);
    return this.#end({ kind: "wrong", reason: `${this.#status} ${shown}` });
  }

  #isExpected(body: Buffer): boolean {
    return this.#status >= 200 && this.#status <= 299 && body.includes(this.#expected);
  }

  #end(state: AnswerState): AnswerState {
    this.#missing = undefined;
    this.#kept = [];
    return state;
  }
}

/** The head that stands at the start of some bytes; undefined where it has not come whole. */
function readHead(bytes: Buffer): Head | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = bytes.toString("latin1", 0, headEnd);
  const status = Number(head.slice(9, 12));
  const bodyFrom = headEnd + HEAD_END.length;
  if (status === 204) return { status, length: 0, bodyFrom };
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  return { status, length: length === undefined ? undefined : Number(length), bodyFrom };
}

/** Whether a body in parts ends with its last one. */
function hasLastPart(body: Buffer): boolean {
  return body.subarray(-LAST_PART.length).equals(LAST_PART);
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
