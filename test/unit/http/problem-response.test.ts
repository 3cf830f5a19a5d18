import { describe, expect, test } from "bun:test";
import { noRouteProblem } from "../../../src/http/allowed-methods.ts";
import { problemResponse, shapeProblem, toProblem } from "../../../src/http/problem-response.ts";
import { PROBLEMS, Problem, type ProblemCode } from "../../../src/problems.ts";

const SECRET = "/var/lib/slipstream/secret";

const isCode = (text: string): text is ProblemCode => Object.hasOwn(PROBLEMS, text);
const CODES = Object.keys(PROBLEMS).filter(isCode);

/** The header that tells when to come again. */
const retryAfter = (retryAfterMs: number): string | null =>
  problemResponse(new Problem("busy", "x", { retryAfterMs }), "r", "/").headers.get("retry-after");

const issue = (path: string, message = "Expected number") => ({ path, message });

describe("problemResponse", () => {
  test("is a problem of RFC 9457 with the catalogue's words", async () => {
    const errors = [{ field: "/k", message: "must be a number" }];
    const problem = new Problem("invalid_request", "k is wrong.", { errors });
    const response = problemResponse(problem, "r1", "/api/v1/collections");
    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.has("retry-after")).toBe(false);
    expect(await response.json()).toEqual({
      type: "/problems/invalid_request",
      title: "The request is not valid",
      status: 400,
      detail: "k is wrong.",
      instance: "r1",
      code: "invalid_request",
      request_id: "r1",
      errors,
    });
  });

  test("has the catalogue's status for every code, and hides the details of each 500", async () => {
    for (const code of CODES) {
      for (const path of ["/api/v1/search", "/v1/embeddings"]) {
        const errors = [{ field: "/x", message: "wrong" }];
        const problem = new Problem(code, SECRET, { cause: new Error(SECRET), errors });
        const response = problemResponse(problem, "r1", path);
        expect(response.status).toBe(PROBLEMS[code].status);
        const text = await response.text();
        expect(text.includes(SECRET)).toBe(response.status !== 500);
        expect(text).toContain(code);
      }
    }
  });

  test("tells when to come again in whole seconds, at least one", () => {
    expect([0, 1, 1000, 1001, 5000].map(retryAfter)).toEqual(["1", "1", "1", "2", "5"]);
  });

  test("has OpenAI's shape under /v1/ only", async () => {
    const errors = [{ field: "/input", message: "is missing" }];
    const problem = new Problem("invalid_request", "input is missing.", { errors });
    const response = problemResponse(problem, "r1", "/v1/embeddings");
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toEqual({
      error: {
        message: "input is missing.",
        type: "invalid_request_error",
        param: "/input",
        code: "invalid_request",
      },
    });
    const busy = problemResponse(new Problem("busy", "Later."), "r1", "/v1/embeddings");
    expect(await busy.json()).toMatchObject({ error: { type: "server_error", param: null } });
    const other = problemResponse(problem, "r1", "/v1embeddings");
    expect(other.headers.get("content-type")).toBe("application/problem+json");
  });
});

describe("toProblem", () => {
  test("takes a problem as it is, also where a framework wrapped it", () => {
    const problem = new Problem("busy", "x");
    expect(toProblem("UNKNOWN", problem)).toBe(problem);
    expect(toProblem("PARSE", new Error("wrapped", { cause: problem }))).toBe(problem);
  });

  test("takes what the framework could not read for malformed JSON, and the rest for our own failure", () => {
    const error = new Error(SECRET);
    expect(toProblem("PARSE", error)).toMatchObject({ code: "malformed_json", cause: error });
    for (const one of [error, "text", undefined, 7]) {
      const problem = toProblem("UNKNOWN", one);
      expect(problem.code).toBe("internal");
      expect(problem.cause).toBe(one);
      expect(problem.detail).not.toContain("secret");
    }
    expect(toProblem("INTERNAL_SERVER_ERROR", error).code).toBe("internal");
  });

  test("takes a request that does not fit for invalid, and our own answer that does not fit for internal", () => {
    const all = [{ path: "/k", message: "Expected number" }];
    const failed = (type: string) =>
      toProblem("VALIDATION", Object.assign(new Error(), { type, all }));
    expect(failed("body").errors).toEqual([{ field: "/k", message: "Expected number" }]);
    expect(failed("query").errors).toEqual([{ field: "query:/k", message: "Expected number" }]);
    expect(failed("property").errors).toEqual([{ field: "query:/k", message: "Expected number" }]);
    expect(failed("response").code).toBe("internal");
    expect(toProblem("VALIDATION", new Error("?")).code).toBe("invalid_request");
  });
});

describe("shapeProblem", () => {
  test("names each field once, ten at most, the first in the detail", () => {
    const issues = Array.from({ length: 40 }, (_, index) => issue(`/list/${index >> 1}`));
    const problem = shapeProblem(issues, "body");
    expect(problem.errors.map(({ field }) => field)).toEqual(
      Array.from({ length: 10 }, (_, index) => `/list/${index}`),
    );
    expect(problem.detail).toBe("/list/0: Expected number.");
  });

  test("shows no name of the caller's that is long or odd, and no long message", () => {
    const odd = ["/<script>", `/${"x".repeat(101)}`, "/a b", "/é"];
    for (const path of odd) {
      expect(shapeProblem([issue(path)], "body").errors).toEqual([
        { field: "/…", message: "Expected number" },
      ]);
    }
    const [long] = shapeProblem([issue("/k", "m".repeat(5000))], "body").errors;
    expect(long?.message).toHaveLength(200);
  });

  test("speaks of the whole body where no field is wrong", () => {
    expect(shapeProblem([issue("")], "body").detail).toBe("body: Expected number.");
    expect(shapeProblem([], "body").detail).toBe("A field is wrong.");
  });
});

describe("noRouteProblem", () => {
  const routes = [
    { method: "GET", path: "/api/v1/collections/:name" },
    { method: "DELETE", path: "/api/v1/collections/:name" },
    { method: "GET", path: "/api/v1/collections/:name/documents/:id" },
    { method: "POST", path: "/api/v1/search" },
  ];

  test("is 405 with the methods in order where the path has others", () => {
    const { problem, allow } = noRouteProblem(routes, "/api/v1/collections/a.b");
    expect([problem.code, allow]).toEqual(["method_not_allowed", "DELETE, GET"]);
    expect(problem.detail).toContain("DELETE, GET");
  });

  test.each([
    "/",
    "/api/v1",
    "/api/v1/collections/a/documents",
    "/api/v1/search/x",
    "/API/v1/search",
  ])("is 404 for %s, where there is nothing", (path) => {
    const { problem, allow } = noRouteProblem(routes, path);
    expect([problem.code, allow]).toEqual(["not_found", undefined]);
  });

  test("is 404 where a part of the path is empty", () => {
    expect(noRouteProblem(routes, "/api/v1/collections/").problem.code).toBe("not_found");
    expect(noRouteProblem(routes, "/api/v1/collections//documents/7").problem.code).toBe(
      "not_found",
    );
  });
});
