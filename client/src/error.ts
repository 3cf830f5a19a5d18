/** One wrong field of a request: where it is and what is wrong with it. */
export interface FieldError {
  field: string;
  message: string;
}

export interface ErrorFacts {
  /** HTTP status; undefined for a failure on the socket or before an answer. */
  status?: number | undefined;
  requestId?: string | undefined;
  errors?: readonly FieldError[] | undefined;
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/**
 * Every failure of this package. `code` is the server's (`invalid_request`, `rate_limited`, …: see its problem pages) or
 * one of ours: `network`, `timeout`, `closed`, `disconnected`, `too_large`, `too_many_requests_waiting`, `parse_failed`.
 */
export class SlipstreamError extends Error {
  readonly code: string;
  readonly detail: string;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly errors: readonly FieldError[];
  readonly retryAfterMs: number | undefined;

  constructor(code: string, detail: string, facts: ErrorFacts = {}) {
    super(`${code}: ${detail}`, { cause: facts.cause });
    this.name = "SlipstreamError";
    this.code = code;
    this.detail = detail;
    this.status = facts.status;
    this.requestId = facts.requestId;
    this.errors = facts.errors ?? [];
    this.retryAfterMs = facts.retryAfterMs;
  }
}
