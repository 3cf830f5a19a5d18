import { errorTypeOf } from "./error-type.ts";
import type { RunningSpan } from "./traces.ts";

/** Does something in a span, which ends with it, or with its promise. */
export function runIn<T>(span: RunningSpan, work: () => T): T {
  let result: T;
  try {
    result = span.run(work);
  } catch (error) {
    span.end({ errorType: errorTypeOf(error) });
    throw error;
  }
  if (!(result instanceof Promise)) {
    span.end();
    return result;
  }
  void result.then(
    () => span.end(),
    (error: unknown) => span.end({ errorType: errorTypeOf(error) }),
  );
  return result;
}
