import { randomBytes } from "node:crypto";

const SESSION_LENGTH = 16;
const SECRET = /^[A-Za-z0-9_-]{16,64}$/;

/**
 * The public name of a session. A client that comes back shows the same secret of its own making (`/live?session=`) and
 * is the same member of its rooms; since others see only a hash of it, nobody can come as somebody else.
 */
export function sessionOf(secret: string | null): string {
  if (secret === null || !SECRET.test(secret))
    return randomBytes((SESSION_LENGTH * 6) / 8).toString("base64url");
  return new Bun.CryptoHasher("sha256").update(secret).digest("base64url").slice(0, SESSION_LENGTH);
}
