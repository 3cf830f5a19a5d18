import { expect, test } from "bun:test";
import { createAnswerer } from "../../../src/http/answer.ts";
import { scopeOf } from "../../../src/http/request-scope.ts";

const REQUEST = {
  method: "GET",
  target: "/api/v1/collections/a/search?q=b",
  contentType: null,
  body: null,
  requestId: "a-test",
};

test("an answer of 500 carries what is behind it, for the log of the process with the socket", async () => {
  const failing = createAnswerer((request) => {
    scopeOf(request).error = new RangeError("too far");
    return new Response("{}", { status: 500, headers: { "retry-after": "1" } });
  });
  const answer = await failing(REQUEST);
  expect(answer).toMatchObject({ status: 500, retryAfter: "1" });
  expect(answer.error).toMatchObject({ type: "RangeError", message: "too far" });

  const odd = createAnswerer((request) => {
    scopeOf(request).error = "a word";
    return new Response(null, { status: 503 });
  });
  expect((await odd(REQUEST)).error).toMatchObject({ type: "unknown", message: "a word" });
});

test("the id and whether engines ended over it come with the request", async () => {
  const seen: unknown[] = [];
  const answer = createAnswerer((request) => {
    const scope = scopeOf(request);
    const { requestId, degraded } = scope;
    // The process with the socket sees to both; a route may ask for them all the same.
    scope.keepOpen();
    scope.runsUntil(Promise.resolve());
    seen.push([request.method, new URL(request.url).search, requestId, degraded]);
    return new Response("{}");
  });
  await answer(REQUEST);
  await answer({ ...REQUEST, degraded: true });
  expect(seen).toEqual([
    ["GET", "?q=b", "a-test", false],
    ["GET", "?q=b", "a-test", true],
  ]);
});
