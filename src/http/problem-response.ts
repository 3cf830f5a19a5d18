import { PROBLEMS, Problem, type FieldError, type ProblemCode } from "../problems.ts";

/** A caller mends the first few and tries again; a list of thousand would be as large as the request. */
const FIELD_ERRORS_MAX = 10;

/** RFC 9457 problem details. */
interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: ProblemCode;
  request_id: string;
  errors: readonly FieldError[];
}

/** The answer to a request that failed. Only the catalogue's words, our own detail and field names are shown. */
export function problemResponse(problem: Problem, requestId: string, path: string): Response {
  const { status } = PROBLEMS[problem.code];
  const openAi = path.startsWith("/v1/");
  const body = openAi ? openAiError(problem) : problemBody(problem, requestId);
  const headers = new Headers({
    "content-type": openAi ? "application/json" : "application/problem+json",
  });
  if (problem.retryAfterMs !== undefined) {
    headers.set("retry-after", String(Math.max(1, Math.ceil(problem.retryAfterMs / 1000))));
  }
  return new Response(JSON.stringify(body), { status, headers });
}

function problemBody(problem: Problem, requestId: string): ProblemBody {
  const { status, title } = PROBLEMS[problem.code];
  return {
    type: `/problems/${problem.code}`,
    title,
    status,
    detail: shownDetail(problem),
    instance: requestId,
    code: problem.code,
    request_id: requestId,
    errors: status >= 500 ? [] : problem.errors,
  };
}

function openAiError(problem: Problem): unknown {
  const { status } = PROBLEMS[problem.code];
  const type = status >= 500 ? "server_error" : "invalid_request_error";
  const param = problem.errors[0]?.field ?? null;
  return { error: { message: shownDetail(problem), type, param, code: problem.code } };
}

/** Details of our own failures may hold paths of this machine: the log has them, the caller does not. */
function shownDetail(problem: Problem): string {
  const { status, title } = PROBLEMS[problem.code];
  return status === 500 ? `${title}. The request id finds the reason in the log.` : problem.detail;
}

/** Elysia's and Bun's own failures as ours. `error` is what `onError` got. */
export function toProblem(code: string | number, error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof Error && error.cause instanceof Problem) return error.cause;
  switch (code) {
    case "VALIDATION":
      return validationProblem(error);
    case "PARSE":
    case "INVALID_COOKIE_SIGNATURE":
      return new Problem("malformed_json", "The body could not be read.", { cause: error });
    default:
      return new Problem("internal", "Unexpected failure.", { cause: error });
  }
}

interface ValidationIssue {
  path: string;
  message: string;
}

/** Where and why, never the value: a large body must not come back as a larger answer. */
function validationProblem(error: unknown): Problem {
  if (isValidation(error) && error.type === "response") {
    return new Problem("internal", "Our own answer does not fit its schema.", { cause: error });
  }
  return isValidation(error) ? shapeProblem(error.all, error.type) : shapeProblem([], "body");
}

/** The problem of a value that does not fit its schema. `part` is where it stands: body, query or params. */
export function shapeProblem(issues: Iterable<ValidationIssue>, part: string): Problem {
  const errors: FieldError[] = [];
  for (const issue of issues) {
    const field = fieldName(part, issue.path);
    if (!errors.some((one) => one.field === field))
      errors.push({ field, message: issue.message.slice(0, 200) });
    if (errors.length === FIELD_ERRORS_MAX) break;
  }
  const first = errors[0];
  const detail = first === undefined ? "A field is wrong." : `${first.field}: ${first.message}.`;
  return new Problem("invalid_request", detail, { errors });
}

function isValidation(error: unknown): error is { type: string; all: ValidationIssue[] } {
  return error instanceof Error && "type" in error && "all" in error && Array.isArray(error.all);
}

/** Where a wrong value stands: a JSON Pointer into the body, else the part of the request before it. */
function fieldName(part: string, path: string): string {
  // Elysia says "property" where a value of a query was read and then found wrong, and does not say which.
  const place = part === "property" ? "query" : part;
  if (path === "" || path === "/") return place;
  // Names in a path can be the caller's: only a short and plain one is shown back.
  const shown = /^[\w/$.-]{1,100}$/.test(path) ? path : "/…";
  return place === "body" ? shown : `${place}:${shown}`;
}
