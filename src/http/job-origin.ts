import { formatTraceparent, parseTraceparent } from "../telemetry/trace-context.ts";
import { currentTraceparent } from "../telemetry/traces.ts";
import { scopeOf } from "./request-scope.ts";

/** What a job keeps of the request that it comes from: its log lines and its spans say so, also after a restart. */
export function jobOrigin(request: Request): {
  requestId: string;
  traceparent: string | undefined;
} {
  const { requestId, traceparent } = scopeOf(request);
  // Where traces are off here, whoever calls may keep some.
  const given = parseTraceparent(request.headers.get("traceparent"));
  const theirs = given === undefined ? undefined : formatTraceparent(given);
  return { requestId, traceparent: currentTraceparent() ?? traceparent ?? theirs };
}
