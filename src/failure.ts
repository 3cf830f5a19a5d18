import { Problem, type FieldError, type ProblemCode } from "./problems.ts";

/** An error on its way between threads or processes, where it would arrive without its code. */
export interface Failure {
  /** Undefined where it is no Problem. */
  code: ProblemCode | undefined;
  message: string;
  stack: string | undefined;
  errors: readonly FieldError[];
  retryAfterMs: number | undefined;
  /** What is behind a Problem, in a line. */
  cause: string | undefined;
}

/** What is sent of something that was thrown: of a Problem, all that a caller is told. */
export function toFailure(error: unknown): Failure {
  const none = { code: undefined, errors: [], retryAfterMs: undefined, cause: undefined };
  if (!(error instanceof Error)) return { ...none, message: String(error), stack: undefined };
  const { message, stack, cause } = error;
  const behind = cause instanceof Error ? String(cause) : undefined;
  if (!(error instanceof Problem)) return { ...none, message, stack, cause: behind };
  const { code, detail, errors, retryAfterMs } = error;
  return { code, message: detail, stack, errors, retryAfterMs, cause: behind };
}

/** What is thrown again where a failure arrives, with the stack of where it came from. */
export function fromFailure(failure: Failure): Error {
  const { code, message, stack, errors, retryAfterMs } = failure;
  const cause = failure.cause === undefined ? undefined : new Error(failure.cause);
  const error =
    code === undefined
      ? new Error(message, { cause })
      : new Problem(code, message, {
          errors,
          cause,
          ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        });
  if (stack !== undefined) error.stack = stack;
  return error;
}
