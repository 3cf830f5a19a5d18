import { utf8Bytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";

const ROOM_NAME = new RegExp(`^[A-Za-z0-9_.:-]{1,${limits.roomNameBytesMax}}$`);

/** @throws Problem `invalid_request` for what is no name of a room */
export function requireRoomName(name: string): void {
  if (ROOM_NAME.test(name)) return;
  throw wrongField("room", `must be 1 to ${limits.roomNameBytesMax} of A-Z a-z 0-9 _ . : -`);
}

/** The JSON text of a message's data. @throws Problem `invalid_request`, `too_deep`, `too_large` */
export function dataText(data: unknown): string {
  const text = toJson(data);
  // No text has fewer bytes than characters, and most have as many: only the long ones are counted.
  if (text.length > limits.messageBytesMax / 3 && utf8Bytes(text) > limits.messageBytesMax) {
    throw new Problem("too_large", `A message may have ${limits.messageBytesMax} bytes of JSON.`);
  }
  return text;
}

function toJson(data: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch (error) {
    throw new Problem("too_deep", "The data cannot be written as JSON.", { cause: error });
  }
  // Not what its type says: undefined and functions have no JSON.
  if (text === undefined) throw wrongField("data", "must be a JSON value");
  return text;
}

/** @throws Problem `invalid_request` for a key or a sender that is empty, too long or no well-formed text */
export function requireLabels({ key, from }: { key?: string; from?: string }): void {
  if (key !== undefined) requireLabel("key", key, limits.idempotencyKeyBytesMax);
  if (from !== undefined) requireLabel("from", from, limits.senderBytesMax);
}

function requireLabel(field: string, text: string, bytesMax: number): void {
  if (text.length > 0 && utf8Bytes(text) <= bytesMax && text.isWellFormed()) return;
  throw wrongField(field, `must be text of 1 to ${bytesMax} bytes`);
}

/** One wrong field of a request. */
export function wrongField(field: string, message: string): Problem {
  return new Problem("invalid_request", `${field} ${message}.`, { errors: [{ field, message }] });
}
