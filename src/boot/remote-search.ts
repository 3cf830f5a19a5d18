import { Value } from "@sinclair/typebox/value";
import { SearchResultSchema } from "../contract/search.ts";
import { ProblemSchema } from "../contract/shared.ts";
import type { ChildEngines } from "../engine/child-engines.ts";
import { encodeUtf8 } from "../lib/text.ts";
import { assert, isProblemCode, Problem } from "../problems.ts";
import type { Search } from "../search/search.ts";
import { currentTraceparent } from "../telemetry/traces.ts";

/** Searches in an engine's process, for callers that want values and not the bytes that a socket is given. */
export function remoteSearch(
  engines: Pick<ChildEngines, "answer">,
  { requestId }: { requestId: () => string },
): Search {
  return {
    async search({ name }, request) {
      const { body, status } = await engines.answer({
        method: "POST",
        target: `/api/v1/collections/${encodeURIComponent(name)}/search`,
        contentType: "application/json",
        body: encodeUtf8(JSON.stringify(request)),
        requestId: requestId(),
        traceparent: currentTraceparent(),
      });
      const value: unknown = JSON.parse(new TextDecoder().decode(body));
      if (status === 200) {
        assert(Value.Check(SearchResultSchema, value), "an engine answers in the contract's shape");
        return value;
      }
      throw problemOf(value);
    },
  };
}

function problemOf(value: unknown): Problem {
  assert(Value.Check(ProblemSchema, value), "an engine refuses in the contract's shape");
  const { code, detail } = value;
  return new Problem(isProblemCode(code) ? code : "internal", detail);
}
