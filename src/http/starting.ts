import { Problem } from "../problems.ts";
import type { Fetch } from "./front.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { problemResponse } from "./problem-response.ts";
import { targetOf } from "./request-target.ts";
import { scopeOf } from "./request-scope.ts";

/** Answers while the parts are being opened: the process lives, and nothing else is true yet. */
export function startingFetch(lifecycle: Lifecycle): Fetch {
  return (request) => {
    const { path } = targetOf(request);
    const timestamp = new Date().toISOString();
    if (path === "/health/live") return Response.json({ status: "healthy", timestamp });
    if (path === "/health/startup") return Response.json(startup(lifecycle), { status: 503 });
    const problem = new Problem("not_ready", "The server is starting.", { retryAfterMs: 1000 });
    return problemResponse(problem, scopeOf(request).requestId, path);
  };
}

/** How far the start has come. */
export function startup({ state, steps }: Lifecycle) {
  const status = state === "starting" ? ("starting" as const) : ("started" as const);
  return { status, timestamp: new Date().toISOString(), steps: [...steps] };
}
