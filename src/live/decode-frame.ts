import type { TSchema } from "@sinclair/typebox";
import { TypeCompiler, type TypeCheck } from "@sinclair/typebox/compiler";
import { LIVE_REQUESTS, type LiveRequest } from "../contract/live.ts";
import { isDeeperThan } from "../lib/json-depth.ts";
import { encodeUtf8 } from "../lib/text.ts";
import { limits } from "../limits.ts";
import type { FieldError, LiveErrorCode } from "../problems.ts";

/** What came of a frame: a request, or why it is none. */
export type Decoded =
  | { ok: true; request: LiveRequest }
  | {
      ok: false;
      /** The request's, where it has one that can be sent back. */
      id: string | undefined;
      code: LiveErrorCode;
      message: string;
      errors: readonly FieldError[];
    };

interface RequestCheck {
  Check(value: unknown): value is LiveRequest;
  Errors: TypeCheck<TSchema>["Errors"];
}

const CHECKS: { readonly [T in LiveRequest["type"]]: RequestCheck } = {
  auth: TypeCompiler.Compile(LIVE_REQUESTS.auth),
  subscribe: TypeCompiler.Compile(LIVE_REQUESTS.subscribe),
  unsubscribe: TypeCompiler.Compile(LIVE_REQUESTS.unsubscribe),
  publish: TypeCompiler.Compile(LIVE_REQUESTS.publish),
  history: TypeCompiler.Compile(LIVE_REQUESTS.history),
  presence: TypeCompiler.Compile(LIVE_REQUESTS.presence),
  search: TypeCompiler.Compile(LIVE_REQUESTS.search),
  cancel: TypeCompiler.Compile(LIVE_REQUESTS.cancel),
  ping: TypeCompiler.Compile(LIVE_REQUESTS.ping),
  pong: TypeCompiler.Compile(LIVE_REQUESTS.pong),
};

const ERRORS_MAX = 5;
const ID_LENGTH_MAX = 64;

/** A client's frame as a request. Never throws. */
export function decodeFrame(text: string): Decoded {
  const value = parse(text);
  if (value === undefined) return bad(undefined, "The frame is not JSON, or is nested too deeply.");
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return bad(undefined, "The frame is not a JSON object.");
  const given: unknown = "id" in value ? value.id : undefined;
  const id = typeof given === "string" && given.length <= ID_LENGTH_MAX ? given : undefined;
  if (given !== id)
    return bad(undefined, `id: must be text of at most ${ID_LENGTH_MAX} characters.`);
  const type: unknown = "type" in value ? value.type : undefined;
  if (typeof type !== "string") return bad(id, "The frame has no type.");
  if (!isRequestType(type)) return refuse("unknown_type", id, "There is no request of this type.");
  const check = CHECKS[type];
  return check.Check(value) ? checkTogether(value) : invalid(id, check, value);
}

/** The id of a request that has one. */
export function idOf(request: LiveRequest): string | undefined {
  return "id" in request ? request.id : undefined;
}

function parse(text: string): unknown {
  // As many brackets as may nest need twice as many characters: short frames are not looked through.
  if (text.length > 2 * limits.jsonDepthMax && isDeeperThan(encodeUtf8(text), limits.jsonDepthMax))
    return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRequestType(type: string): type is LiveRequest["type"] {
  return Object.hasOwn(CHECKS, type);
}

/** What a schema of single fields cannot say. */
function checkTogether(request: LiveRequest): Decoded {
  if (request.type === "subscribe") {
    const { room, query, since, history, presence } = request;
    if ((room === undefined) === (query === undefined))
      return wrong(request.id, "/room", "give a room or a query");
    if (since !== undefined && history !== undefined)
      return wrong(request.id, "/since", "not together with history");
    if (query !== undefined && presence === true)
      return wrong(request.id, "/presence", "only in a room");
  }
  if (request.type === "history" && request.before !== undefined && request.after !== undefined)
    return wrong(request.id, "/before", "not together with after");
  return { ok: true, request };
}

function wrong(id: string, field: string, message: string): Decoded {
  const errors = [{ field, message }];
  return { ok: false, id, code: "invalid", message: `${field}: ${message}.`, errors };
}

/** Where and why, never the value. */
function invalid(id: string | undefined, check: RequestCheck, value: unknown): Decoded {
  const errors: FieldError[] = [];
  for (const { path, message } of check.Errors(value)) {
    const field = /^[\w/$.-]{1,100}$/.test(path) ? path : "/…";
    if (!errors.some((one) => one.field === field))
      errors.push({ field, message: message.slice(0, 200) });
    if (errors.length === ERRORS_MAX) break;
  }
  const first = errors[0];
  const message = first === undefined ? "A field is wrong." : `${first.field}: ${first.message}.`;
  return { ok: false, id, code: "invalid", message, errors };
}

function bad(id: string | undefined, message: string): Decoded {
  return refuse("bad_frame", id, message);
}

function refuse(code: LiveErrorCode, id: string | undefined, message: string): Decoded {
  return { ok: false, id, code, message, errors: [] };
}
