import { encodeUtf8 } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { mediaType, parseJson } from "./read-body.ts";

/** True for the one path that reads a stream of documents. */
export function takesNdjson(path: string): boolean {
  return /^\/api\/v1\/collections\/[^/]+\/documents\/?$/.test(path);
}

/** A line of an NDJSON stream: its JSON value, or why it has none. Lines count from 1. */
export type NdjsonLine =
  | { line: number; ok: true; value: unknown }
  | { line: number; ok: false; problem: Problem };

const NEWLINE = 0x0a;

/** True if the body is one JSON value a line. */
export function isNdjson(request: Request): boolean {
  const type = mediaType(request.headers.get("content-type"));
  return (
    type === "application/x-ndjson" || type === "application/jsonl" || type === "application/ndjson"
  );
}

/**
 * The lines of a stream as they arrive, memory bounded by `limits.ndjsonLineBytesMax`. Blank lines count and are left out.
 * A line that is too long, or is no JSON, is told as such and the next one is read.
 */
export async function* ndjsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<NdjsonLine> {
  const reader = new LineReader();
  for await (const part of body) yield* reader.take(part);
  yield* reader.end();
}

class LineReader {
  #line = 1;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  *take(part: Uint8Array): Generator<NdjsonLine> {
    let start = 0;
    for (let end = part.indexOf(NEWLINE); end !== -1; end = part.indexOf(NEWLINE, start)) {
      this.#add(part.subarray(start, end));
      yield* this.#finish();
      start = end + 1;
    }
    this.#add(part.subarray(start));
  }

  *end(): Generator<NdjsonLine> {
    if (this.#bytes > 0) yield* this.#finish();
  }

  #add(part: Uint8Array): void {
    this.#bytes += part.byteLength;
    // Past the limit only the length is kept, and the line is refused at its end.
    if (this.#bytes > limits.ndjsonLineBytesMax) this.#parts = [];
    else this.#parts.push(part);
  }

  *#finish(): Generator<NdjsonLine> {
    const line = this.#line++;
    const tooLong = this.#bytes > limits.ndjsonLineBytesMax;
    const bytes = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    if (tooLong) {
      const problem = new Problem(
        "too_large",
        `A line may have ${limits.ndjsonLineBytesMax} bytes.`,
      );
      yield { line, ok: false, problem };
    } else if (!isBlank(bytes)) yield parseLine(line, bytes);
  }
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

function parseLine(line: number, bytes: Uint8Array): NdjsonLine {
  try {
    return { line, ok: true, value: parseJson(bytes) };
  } catch (error) {
    if (error instanceof Problem) return { line, ok: false, problem: error };
    throw error;
  }
}

/**
 * An NDJSON answer made while it is read: the source is asked for more only as fast as the client takes lines, beyond
 * `limits.ndjsonResultBytesMax` that wait for it. `ended` settles when the last line was made or the client has gone.
 */
export function ndjsonResponse(lines: AsyncGenerator): {
  response: Response;
  ended: Promise<void>;
} {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const stream = new ReadableStream(
    {
      async pull(controller) {
        // A source that fails breaks the answer off, and has ended too.
        const next = await lines.next().catch((error: unknown) => {
          end();
          throw error;
        });
        if (next.done === true) {
          controller.close();
          end();
        } else controller.enqueue(encodeUtf8(`${JSON.stringify(next.value)}\n`));
      },
      async cancel() {
        end();
        await lines.return(undefined);
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: limits.ndjsonResultBytesMax }),
  );
  const response = new Response(stream, { headers: { "content-type": "application/x-ndjson" } });
  return { response, ended };
}
