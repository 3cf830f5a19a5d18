import { describe, expect, test } from "bun:test";
import { mediaType, parseJsonText, readJson } from "../../../src/http/read-body.ts";
import { limits } from "../../../src/limits.ts";
import { problemOf } from "../problems/problem-of.ts";

type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

function post(body: Body, headers: Record<string, string> = {}): Request {
  const all = { "content-type": "application/json", ...headers };
  return new Request("http://x/", { method: "POST", body, headers: all });
}

/** A body of one part that does not end before the gate opens. */
function held(part: Uint8Array, gate: Promise<void>): ReadableStream<Uint8Array> {
  let sent = false;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (!sent) {
        sent = true;
        controller.enqueue(part);
        return;
      }
      await gate.then(
        () => controller.close(),
        (reason: unknown) => controller.error(reason),
      );
    },
  });
}

describe("readJson", () => {
  test("gives the value of a JSON body, a byte order mark left out", async () => {
    expect(await readJson(post('{"a":[1,"é🏁"]}'))).toEqual({ a: [1, "é🏁"] });
    expect(await readJson(post("\ufeffnull"))).toBeNull();
  });

  test.each(["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"])(
    "takes %s",
    async (type) => {
      expect(await readJson(post("1", { "content-type": type }))).toBe(1);
    },
  );

  test.each(["text/plain", "application/x-www-form-urlencoded", "json", "application/jsonp"])(
    "refuses %s",
    async (type) => {
      const request = post("1", { "content-type": type });
      expect((await problemOf(() => readJson(request))).code).toBe("unsupported_media_type");
    },
  );

  test("gives null for a request without a body, whatever type it names", async () => {
    expect(await readJson(new Request("http://x/"))).toBeNull();
    const headers = { "content-type": "text/plain" };
    expect(await readJson(new Request("http://x/", { method: "POST", headers }))).toBeNull();
    expect(await readJson(post(""))).toBeNull();
  });

  test("refuses a compressed body", async () => {
    const request = post("1", { "content-encoding": "gzip" });
    expect((await problemOf(() => readJson(request))).code).toBe("unsupported_media_type");
    expect(await readJson(post("1", { "content-encoding": "Identity" }))).toBe(1);
  });

  test.each([
    ["text that is no JSON", "{a:1}", "malformed_json"],
    ["two values", "1 2", "malformed_json"],
    ["bytes that are no text", new Uint8Array([0x22, 0xff, 0x22]), "invalid_text"],
    ["a bomb of brackets", "[".repeat(100_000), "too_deep"],
  ] as const)("refuses %s", async (_what, body, code) => {
    const problem = await problemOf(() => readJson(post(body)));
    expect(problem.code).toBe(code);
  });

  test("refuses a body past its bound, whether the length is told or not", async () => {
    const bytes = new Uint8Array(limits.jsonBodyBytesMax + 1).fill(0x20);
    bytes[0] = 0x31;
    expect((await problemOf(() => readJson(post(bytes)))).code).toBe("too_large");
    const untold = held(bytes, Promise.resolve());
    expect((await problemOf(() => readJson(post(untold)))).code).toBe("too_large");
    expect(await readJson(post(bytes.subarray(0, limits.jsonBodyBytesMax)))).toBe(1);
  });

  test("says of a body that ends early that it could not be read", async () => {
    const gone = Promise.reject(new Error("the client has gone"));
    const problem = await problemOf(() => readJson(post(held(Buffer.from("{"), gone))));
    expect(problem.code).toBe("malformed_json");
  });

  test("refuses bodies while others take all the memory there is for them, and takes them again after", async () => {
    const gate = Promise.withResolvers<void>();
    // One piece of memory stands for all bodies.
    const part = new Uint8Array(limits.jsonBodyBytesMax).fill(0x20);
    part[0] = 0x31;
    const count = limits.bodyBytesInFlightMax / part.byteLength;
    const reading = Array.from({ length: count }, () => readJson(post(held(part, gate.promise))));
    await new Promise(setImmediate);
    const problem = await problemOf(() => readJson(post("1")));
    expect([problem.code, problem.retryAfterMs]).toEqual(["busy", 1000]);
    gate.reject(new Error("the client has gone"));
    const outcomes = await Promise.allSettled(reading);
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["rejected"]));
    expect(await readJson(post("1"))).toBe(1);
  });
});

test("parseJsonText refuses what readJson would", async () => {
  expect(parseJsonText('{"a":1}')).toEqual({ a: 1 });
  expect((await problemOf(() => parseJsonText("{"))).code).toBe("malformed_json");
  expect((await problemOf(() => parseJsonText("[".repeat(99)))).code).toBe("too_deep");
});

test("mediaType is in small letters and without parameters", () => {
  expect(mediaType(" Text/HTML ; charset=utf-8")).toBe("text/html");
  expect([mediaType(null), mediaType("")]).toEqual(["", ""]);
});
