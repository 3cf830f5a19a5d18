import { randomBytes } from "node:crypto";

const PREFIX = "whsec_";
const SECRET_BYTES = 32;
/** Of a secret, by the specification. */
const SECRET_BYTES_MIN = 24;
const SECRET_BYTES_MAX = 64;

/** A secret that nobody has seen. */
export function newSecret(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString("base64");
}

/** True for `whsec_` and the base64 of 24 to 64 bytes. */
export function isSecret(text: string): boolean {
  const key = keyOf(text);
  const isWhole = text === PREFIX + key.toString("base64");
  return isWhole && key.byteLength >= SECRET_BYTES_MIN && key.byteLength <= SECRET_BYTES_MAX;
}

/**
 * The headers of a request by the Standard Webhooks specification: the HMAC-SHA256 of `id.timestamp.body`. Neither `id` nor
 * the timestamp holds a full stop, so that nobody can move a border between them.
 */
export function signatureHeaders(
  { id, body, atMs }: { id: string; body: string; atMs: number },
  secret: string,
): Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string> {
  const seconds = String(Math.floor(atMs / 1000));
  const signature = new Bun.CryptoHasher("sha256", keyOf(secret))
    .update(`${id}.${seconds}.${body}`)
    .digest("base64");
  return {
    "webhook-id": id,
    "webhook-timestamp": seconds,
    "webhook-signature": `v1,${signature}`,
  };
}

function keyOf(secret: string): Buffer {
  return Buffer.from(secret.slice(PREFIX.length), "base64");
}
