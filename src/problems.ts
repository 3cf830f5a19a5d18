/**
 * The one catalogue of failures. HTTP sends them as RFC 9457 problem details, the CLI as a sentence and an exit code.
 * `retry` says whether the same request may succeed later.
 */
export const PROBLEMS = {
  invalid_request: { status: 400, title: "The request is not valid", retry: false },
  malformed_json: { status: 400, title: "The body is not valid JSON", retry: false },
  invalid_text: { status: 400, title: "The text is not well-formed Unicode", retry: false },
  too_deep: { status: 400, title: "The body is nested too deeply", retry: false },
  invalid_filter: { status: 400, title: "The filter is not valid", retry: false },
  invalid_vector: { status: 400, title: "The vector is not valid", retry: false },
  dimensions_mismatch: {
    status: 400,
    title: "The vector has the wrong number of dimensions",
    retry: false,
  },
  vector_not_accepted: {
    status: 400,
    title: "This collection embeds text itself and takes no vectors",
    retry: false,
  },
  vector_required: {
    status: 400,
    title: "This collection has no model, so a vector is required",
    retry: false,
  },
  empty_text: { status: 400, title: "There is no text to work with", retry: false },
  unknown_model: { status: 400, title: "No such model is installed", retry: false },
  model_mismatch: {
    status: 409,
    title: "The collection was embedded by other weights",
    retry: false,
  },
  not_found: { status: 404, title: "There is nothing at this address", retry: false },
  collection_not_found: { status: 404, title: "No such collection or alias", retry: false },
  document_not_found: { status: 404, title: "No such document", retry: false },
  alias_not_found: { status: 404, title: "No such alias", retry: false },
  room_not_found: { status: 404, title: "No such room", retry: false },
  history_lost: {
    status: 410,
    title: "This part of the history is no longer kept",
    retry: false,
  },
  problem_not_found: { status: 404, title: "No such problem code", retry: false },
  method_not_allowed: { status: 405, title: "This method is not allowed here", retry: false },
  standing_query_not_found: {
    status: 404,
    title: "No such stored standing query",
    retry: false,
  },
  job_not_found: { status: 404, title: "No such job", retry: false },
  job_state: { status: 409, title: "The job is not in a state for this", retry: false },
  backup_not_found: { status: 404, title: "No such backup", retry: false },
  name_taken: { status: 409, title: "The name is already in use", retry: false },
  idempotency_in_flight: {
    status: 409,
    title: "A request with this Idempotency-Key is still running",
    retry: true,
  },
  too_large: { status: 413, title: "The request is too large", retry: false },
  upgrade_required: { status: 426, title: "This address is for WebSockets", retry: false },
  unsupported_media_type: {
    status: 415,
    title: "This content type or encoding is not supported",
    retry: false,
  },
  idempotency_mismatch: {
    status: 422,
    title: "This Idempotency-Key was used with another request",
    retry: false,
  },
  limit_reached: { status: 422, title: "A limit of this server is reached", retry: false },
  rate_limited: { status: 429, title: "Too many requests", retry: true },
  internal: { status: 500, title: "Something went wrong on our side", retry: true },
  busy: { status: 503, title: "The server is too busy", retry: true },
  not_ready: { status: 503, title: "The server is not ready", retry: true },
  engine_lost: { status: 503, title: "The engines ended over the request", retry: true },
  embedding_failed: { status: 503, title: "The embedding model is not available", retry: true },
  timeout: { status: 504, title: "The request took too long", retry: true },
  memory_full: { status: 507, title: "The memory budget of the indexes is used up", retry: true },
  storage_full: { status: 507, title: "There is no space left", retry: true },

  config_invalid: { status: 500, title: "The configuration is not valid", retry: false, exit: 78 },
  data_locked: {
    status: 500,
    title: "The data directory is held by another process",
    retry: true,
    exit: 1,
  },
  schema_newer: {
    status: 500,
    title: "The data was written by a newer version",
    retry: false,
    exit: 1,
  },
  data_damaged: { status: 500, title: "The data directory is damaged", retry: false, exit: 1 },
  migration_changed: {
    status: 500,
    title: "A migration was edited after it was applied",
    retry: false,
    exit: 1,
  },
  migration_failed: { status: 500, title: "A migration failed", retry: false, exit: 1 },
  model_damaged: { status: 500, title: "A model file is damaged", retry: false, exit: 1 },
  start_timeout: { status: 500, title: "The start took too long", retry: true, exit: 1 },
  port_in_use: { status: 500, title: "The port is in use", retry: true, exit: 1 },
  native_missing: {
    status: 500,
    title: "A native library cannot be loaded",
    retry: false,
    exit: 1,
  },
  usage: { status: 400, title: "The command was not understood", retry: false, exit: 2 },
} as const satisfies Record<
  string,
  { status: number; title: string; retry: boolean; exit?: number }
>;

export type ProblemCode = keyof typeof PROBLEMS;

/** True for a code of the catalogue. */
export function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code);
}

/** Codes of `error` frames on a live connection. */
export const LIVE_ERRORS = {
  bad_frame: "The frame is not a JSON object with a type, or its id is not one",
  unknown_type: "There is no request of this type",
  invalid: "A field of the request is wrong",
  unauthenticated: "The connection has not said who it is",
  token_expired: "The connection's token is no longer good",
  forbidden: "The connection may not do this",
  not_found: "What the request is about does not exist",
  already_subscribed: "The connection has this subscription",
  limit_subscriptions: "The connection or the server has as many as it may",
  rate_limited: "The connection sends too much",
  too_large: "The request or its answer is too large",
  unrecoverable: "What comes next in the replay is no longer kept",
  unavailable: "The server cannot do this now",
  cancelled: "The request was cancelled",
  draining: "The server is stopping",
  internal: "Something went wrong on our side",
} as const;

export type LiveErrorCode = keyof typeof LIVE_ERRORS;

/** The code that a problem has in an `error` frame. */
export function liveErrorOf(code: ProblemCode): LiveErrorCode {
  if (code === "limit_reached") return "limit_subscriptions";
  const { status } = PROBLEMS[code];
  if (status === 404) return "not_found";
  if (status === 413) return "too_large";
  if (status < 500) return "invalid";
  return status === 500 ? "internal" : "unavailable";
}

/**
 * How live connections are closed: codes of RFC 6455, section 7.4, and our own. After 4000 to 4499 a client comes back,
 * after 4500 and up it does not.
 */
export const CLOSES = {
  draining: { code: 1001, reason: "The server is stopping." },
  binary: { code: 1003, reason: "Frames are JSON text." },
  full: { code: 1013, reason: "The server has as many connections as it may." },
  stale: { code: 4000, reason: "Nothing was heard for too long." },
  rate_abuse: { code: 4003, reason: "Too many frames; wait half a minute." },
  protocol_errors: { code: 4500, reason: "Too many frames that are none." },
  forbidden: { code: 4503, reason: "Pages of this origin may not connect." },
} as const;

export type CloseName = keyof typeof CLOSES;

/** One wrong field of a request: where it is (JSON Pointer or query name) and what is wrong, never its value. */
export interface FieldError {
  field: string;
  message: string;
}

/**
 * A request or command that cannot go on. `detail` and `errors` are shown to the caller, so they hold nothing secret
 * and nothing of the input but names; `cause` is logged and never shown.
 */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors: readonly FieldError[];
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ProblemCode,
    detail: string,
    options: { cause?: unknown; errors?: readonly FieldError[]; retryAfterMs?: number } = {},
  ) {
    super(`${code}: ${detail}`, { cause: options.cause });
    this.name = "Problem";
    this.code = code;
    this.detail = detail;
    this.errors = options.errors ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Our own mistake: logged, answered with 500, never shown. @throws Error when the condition is false */
export function assert(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${sentence}`);
}
