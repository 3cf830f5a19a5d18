import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { limits } from "../limits.ts";

const gzipped = promisify(gzip);

/** Ten hits with their texts stay below it: compressing them takes longer than a network takes to carry what is saved. */
const BYTES_MIN = 16 * 1024;

/** Most of the gain for a third of the time of the default level. */
const LEVEL = 3;

/** Whole answers of text. Streams go out as they come, and would be kept back. */
const TEXT =
  /^(?:application\/(?:json|problem\+json|javascript)|text\/(?:html|css|plain|javascript))\b/;

/**
 * An answer as it is, or gzipped by the thread pool where it is large, text, and the request takes it so.
 * (RFC 9110, section 12.5.3.)
 */
export function compressed(request: Request, response: Response): Response | Promise<Response> {
  if (!takesGzip(request.headers.get("accept-encoding"))) return response;
  const { headers, body } = response;
  if (body === null || headers.has("content-encoding")) return response;
  if (!TEXT.test(headers.get("content-type") ?? "")) return response;
  const length = headers.get("content-length");
  if (length !== null && !isWorthIt(Number(length))) return response;
  return compress(response);
}

async function compress(response: Response): Promise<Response> {
  const { status, headers } = response;
  const bytes = await response.bytes();
  if (!isWorthIt(bytes.byteLength)) return new Response(bytes, { status, headers });
  headers.set("content-encoding", "gzip");
  headers.append("vary", "accept-encoding");
  headers.delete("content-length");
  return new Response(await gzipped(bytes, { level: LEVEL }), { status, headers });
}

function isWorthIt(bytes: number): boolean {
  return bytes >= BYTES_MIN && bytes <= limits.compressedBytesMax;
}

/** Whether `gzip` is among the encodings, and not with a weight of 0. */
function takesGzip(accepted: string | null): boolean {
  if (accepted === null || !accepted.includes("gzip")) return false;
  return !/\bgzip\s*;\s*q=0(?:\.0*)?(?![\d.])/.test(accepted);
}
