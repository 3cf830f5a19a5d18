import { isDeeperThan } from "../lib/json-depth.ts";
import { decodeUtf8, encodeUtf8 } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";

let bytesInFlight = 0;

/** The media type of a content type, lower case, without parameters. */
export function mediaType(contentType: string | null): string {
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
  if (type !== "application/json" && !type.endsWith("+json")) {
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

async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const tooLarge = new Problem("too_large", `The body may have ${bytesMax} bytes.`);
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) throw tooLarge;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of request.body ?? []) {
      bytes += part.byteLength;
      bytesInFlight += part.byteLength;
      if (bytes > bytesMax) throw tooLarge;
      if (bytesInFlight > limits.bodyBytesInFlightMax) {
        throw new Problem("busy", "Too many large requests at once.", { retryAfterMs: 1000 });
      }
      parts.push(part);
    }
  } finally {
    bytesInFlight -= bytes;
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}
