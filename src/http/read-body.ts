import { isDeeperThan } from "../lib/json-depth.ts";
import { decodeUtf8, encodeUtf8 } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";

const JSON_TYPE = "application/json";

let bytesInFlight = 0;

/** The media type of a content type, lower case, without parameters. */
export function mediaType(contentType: string | null): string {
  // Nearly all say it so, and taking it apart costs a tenth of reading a small body.
  if (contentType === JSON_TYPE) return JSON_TYPE;
  return (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

/**
 * The JSON value of a request's body, null where there is none. @throws Problem `unsupported_media_type`, `too_large`, `too_deep`, `invalid_text`,
 * `malformed_json`, `busy` when all bodies being read together would take too much memory
 */
export async function readJson(request: Request): Promise<unknown> {
  requireIdentity(request);
  // A request without a body may still name a type, as clients that set it always do.
  if (request.body === null) return null;
  const type = mediaType(request.headers.get("content-type"));
  if (type !== JSON_TYPE && !type.endsWith("+json")) {
    throw new Problem("unsupported_media_type", "Send the body as Content-Type: application/json.");
  }
  const bytes = await readBytes(request, limits.jsonBodyBytesMax);
  return bytes.byteLength === 0 ? null : parseJson(bytes);
}

/** A JSON value from bytes. @throws Problem `too_deep`, `invalid_text`, `malformed_json` */
export function parseJson(bytes: Uint8Array): unknown {
  if (isDeeperThan(bytes, limits.jsonDepthMax)) {
    throw new Problem("too_deep", `JSON may nest ${limits.jsonDepthMax} levels deep.`);
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new Problem("invalid_text", "The body is not valid UTF-8.");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem("malformed_json", "The body is not JSON.", { cause: error });
  }
}

/** A JSON value from text, as of a query parameter. @throws Problem `too_deep`, `malformed_json` */
export function parseJsonText(text: string): unknown {
  return parseJson(encodeUtf8(text));
}

/** @throws Problem `unsupported_media_type` for a compressed body, which nothing here unpacks */
export function requireIdentity(request: Request): void {
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    throw new Problem("unsupported_media_type", "Send the body without Content-Encoding.");
  }
}

/** The bytes of a request's body. @throws Problem `too_large`, `busy`, `malformed_json` of one that ends early */
export async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  try {
    return await readBounded(request, bytesMax);
  } catch (error) {
    if (error instanceof Problem) throw error;
    // Whoever sent it is gone, and nobody reads the answer; it is no failure of ours.
    throw new Problem("malformed_json", "The body could not be read.", { cause: error });
  }
}

async function readBounded(request: Request, bytesMax: number): Promise<Uint8Array> {
  const length = request.headers.get("content-length");
  if (Number(length ?? 0) > bytesMax) throw tooLarge(bytesMax);
  if (length !== null) return readWhole(request, Number(length));
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of request.body ?? []) {
      bytes += part.byteLength;
      takeRoom(part.byteLength);
      if (bytes > bytesMax) throw tooLarge(bytesMax);
      parts.push(part);
    }
  } finally {
    bytesInFlight -= bytes;
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

/** A length that was declared is held by the socket's own parser, and one read is a fifth of the price of a stream. */
async function readWhole(request: Request, bytes: number): Promise<Uint8Array> {
  try {
    takeRoom(bytes);
    return await request.bytes();
  } finally {
    bytesInFlight -= bytes;
  }
}

function tooLarge(bytesMax: number): Problem {
  return new Problem("too_large", `The body may have ${bytesMax} bytes.`);
}

function takeRoom(bytes: number): void {
  bytesInFlight += bytes;
  if (bytesInFlight <= limits.bodyBytesInFlightMax) return;
  throw new Problem("busy", "Too many large requests at once.", { retryAfterMs: 1000 });
}
