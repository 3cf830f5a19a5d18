import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { mediaType, requireIdentity } from "./read-body.ts";

/** A file in a form. Its body has to be read before the next part is asked for. */
export interface FilePart {
  /** Name of the form's field. */
  field: string;
  filename: string;
  body: AsyncIterable<Uint8Array>;
}

const CRLF = "\r\n";
const HEADERS_END = Buffer.from(CRLF + CRLF);

/** True for a form with files. */
export function isMultipart(request: Request): boolean {
  return mediaType(request.headers.get("content-type")) === "multipart/form-data";
}

/**
 * The files of a form as they arrive (RFC 7578; RFC 2046, section 5.1), in memory a piece of the body at a time. A field
 * that is no file is refused: what may be said beside files stands in the query.
 * @throws Problem `unsupported_media_type`, `invalid_request`, `too_large`
 */
export async function* readFileParts(request: Request): AsyncGenerator<FilePart> {
  requireIdentity(request);
  const boundary = boundaryOf(request);
  const input = new DelimitedInput(request.body ?? emptyBody());
  // As if a line ended before the body: then all delimiters look alike.
  input.put(Buffer.from(CRLF));
  const delimiter = Buffer.from(`${CRLF}--${boundary}`);
  // What stands before the first one is for readers of mail.
  await skip(input.until(delimiter));
  while (!(await isLast(input))) {
    const part = headersOf(await headText(input));
    const body = input.until(delimiter);
    yield { ...part, body };
    // Where it was not read to its end.
    await skip(body);
  }
}

function boundaryOf(request: Request): string {
  const type = request.headers.get("content-type") ?? "";
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(type) ?? [];
  const boundary = quoted ?? plain;
  if (isMultipart(request) && boundary !== undefined) return boundary;
  throw new Problem(
    "unsupported_media_type",
    "Send files as Content-Type: multipart/form-data with a boundary.",
  );
}

/** What follows a delimiter: the end of its line, or `--` after the last one. */
async function isLast(input: DelimitedInput): Promise<boolean> {
  const next = (await input.take(2)).toString("latin1");
  if (next === "--") return true;
  if (next === CRLF) return false;
  throw malformed("a boundary is followed by something else than the end of its line");
}

async function headText(input: DelimitedInput): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of input.until(HEADERS_END)) {
    bytes += piece.length;
    if (bytes > limits.uploadPartHeaderBytesMax) {
      const most = limits.uploadPartHeaderBytesMax;
      throw new Problem("too_large", `The headers of a part may have ${most} bytes.`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function headersOf(head: string): { field: string; filename: string } {
  const line = head.split(CRLF).find((one) => /^content-disposition\s*:/i.test(one));
  const field = parameter(line, "name");
  const filename = parameter(line, "filename");
  if (field === undefined) throw malformed("a part has no name");
  if (filename === undefined || filename === "") {
    const errors = [{ field: field.slice(0, 64).toWellFormed(), message: "must be a file" }];
    throw new Problem("invalid_request", "Every part of the form must be a file with a name.", {
      errors,
    });
  }
  return { field, filename };
}

/** Browsers write a quote in a name as %22 (WHATWG, multipart/form-data encoding algorithm), others escape it. */
function parameter(line: string | undefined, name: string): string | undefined {
  const found = new RegExp(`;\\s*${name}="((?:[^"\\\\]|\\\\.)*)"`, "i").exec(line ?? "")?.[1];
  const plain = new RegExp(`;\\s*${name}=([^\\s;"]+)`, "i").exec(line ?? "")?.[1];
  return (
    found
      ?.replace(/\\(["\\])/g, "$1")
      .replace(/%22|%0D|%0A/gi, (code) => decodeURIComponent(code)) ?? plain
  );
}

/** A stream of bytes that is read up to delimiters, of which any may be split between two pieces. */
class DelimitedInput {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#pieces = body[Symbol.asyncIterator]();
  }

  /** Bytes that come before what has not been read. */
  put(bytes: Buffer): void {
    this.#held = Buffer.concat([bytes, this.#held]);
  }

  async take(count: number): Promise<Buffer> {
    while (this.#held.length < count) await this.#read();
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }

  /** What comes before the delimiter, which is passed over. The bytes are good until the next piece is asked for. */
  async *until(delimiter: Buffer): AsyncGenerator<Uint8Array> {
    for (;;) {
      const at = this.#held.indexOf(delimiter);
      if (at !== -1) {
        const rest = this.#held;
        this.#held = rest.subarray(at + delimiter.length);
        if (at > 0) yield rest.subarray(0, at);
        return;
      }
      // The end may be the beginning of the delimiter.
      const sure = this.#held.length - delimiter.length + 1;
      if (sure > 0) {
        const given = this.#held.subarray(0, sure);
        this.#held = this.#held.subarray(sure);
        yield given;
      }
      await this.#read();
    }
  }

  async #read(): Promise<void> {
    const next = await this.#pieces.next();
    if (next.done === true) throw malformed("the form ends before its last boundary");
    this.#held =
      this.#held.length === 0 ? Buffer.from(next.value) : Buffer.concat([this.#held, next.value]);
  }
}

function malformed(why: string): Problem {
  return new Problem("invalid_request", `The form cannot be read: ${why}.`);
}

async function skip(pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _piece of pieces);
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {}
