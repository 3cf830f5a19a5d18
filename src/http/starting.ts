import { Problem } from "../problems.ts";
import type { Fetch } from "./front.ts";
import type { Health } from "./health.ts";
import { laterEvents } from "./later-events.ts";
import { problemResponse } from "./problem-response.ts";
import { targetOf } from "./request-target.ts";
import { scopeOf } from "./request-scope.ts";

/** Paths that are answered while the parts are being opened. */
export const STARTING_PATHS = [
  "/health",
  "/health/live",
  "/health/ready",
  "/health/startup",
  "/ready",
];

/** Answers while the parts are being opened: the process lives, and nothing else is true yet. */
export function startingFetch(health: Health): Fetch {
  return async (request) => {
    const { path } = targetOf(request);
    switch (path) {
      case "/health/live":
        return Response.json({ status: "healthy", timestamp: new Date().toISOString() });
      case "/health/startup":
        return notYet(await health.startup());
      case "/health/ready":
      case "/ready":
        return notYet(await health.ready());
      case "/health":
        return Response.json(await health.report());
      default:
        return refusal(request, path);
    }
  };
}

function notYet(body: unknown): Response {
  return Response.json(body, { status: 503, headers: { "retry-after": "1" } });
}

function refusal(request: Request, path: string): Response {
  const later = laterEvents(request);
  if (later !== undefined) return later;
  const problem = new Problem("not_ready", "The server is starting.", { retryAfterMs: 1000 });
  return problemResponse(problem, scopeOf(request).requestId, path);
}
