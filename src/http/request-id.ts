import { limits } from "../limits.ts";

const REQUEST_ID = /^[A-Za-z0-9._-]+$/;

/** The caller's `X-Request-ID` where it is short and plain, and else a UUID of version 4, which nobody can guess. */
export function requestIdOf({ headers }: Pick<Request, "headers">): string {
  const given = headers.get("x-request-id");
  const isGood = given !== null && given.length <= limits.requestIdBytesMax;
  return isGood && REQUEST_ID.test(given) ? given : crypto.randomUUID();
}
