import { Problem } from "../problems.ts";

/** A route as Elysia lists it. */
export interface RouteEntry {
  method: string;
  path: string;
}

/**
 * Why a request found no route: its path has other methods (405, with `Allow`), or there is nothing at all (404).
 * Only requests that fail come here, so the table is read each time.
 */
export function noRouteProblem(
  routes: readonly RouteEntry[],
  path: string,
): { problem: Problem; allow: string | undefined } {
  const methods = new Set(
    routes.filter((route) => matches(route.path, path)).map((route) => route.method),
  );
  if (methods.size === 0)
    return {
      problem: new Problem("not_found", "There is nothing at this path."),
      allow: undefined,
    };
  const allow = [...methods].toSorted().join(", ");
  return { problem: new Problem("method_not_allowed", `This path takes ${allow}.`), allow };
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  // As the router, which takes a path with a slash at its end for the one without.
  const given = path.replace(/(?<=.)\/$/, "").split("/");
  return (
    wanted.length === given.length &&
    wanted.every((part, index) =>
      part.startsWith(":") ? given[index] !== "" : part === given[index],
    )
  );
}
