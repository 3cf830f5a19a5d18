import { describe, expect, test } from "bun:test";
import { isOriginAllowed } from "../../../src/live/origin.ts";
import { sessionOf } from "../../../src/live/session.ts";
import { strike, takeToken } from "../../../src/live/strikes.ts";
import { CLOSES, LIVE_ERRORS, liveErrorOf, PROBLEMS } from "../../../src/problems.ts";

describe("a page", () => {
  const host = "search.example.com";
  const cases: readonly [
    origin: string | null,
    host: string,
    allowed: string[],
    wanted: boolean,
  ][] = [
    [null, host, [], true],
    [`https://${host}`, host, [], true],
    [`https://${host}`, `${host}:443`, [], true],
    [`http://${host}`, `${host}:80`, [], true],
    [`http://${host}:8000`, `${host}:8000`, [], true],
    [`http://${host}:8000`, host, [], false],
    [`https://SEARCH.example.com`, "Search.Example.com", [], true],
    ["https://evil.example", host, [], false],
    ["https://evil.example", host, ["*"], true],
    ["https://evil.example", host, ["https://evil.example"], true],
    ["https://evil.example.com", host, ["https://evil.example"], false],
    [`https://${host}.evil.example`, host, [], false],
    ["null", host, [], false],
    ["not an origin", host, [], false],
  ];
  test("may connect from our host, from a listed origin, and from no other", () => {
    const got = cases.map(([origin, name, allowed]) =>
      isOriginAllowed({ origin, host: name }, allowed),
    );
    expect(got).toEqual(cases.map(([, , , wanted]) => wanted));
  });
});

describe("the token bucket", () => {
  test("gives what it holds at once and then so many a second", () => {
    const connection = { tokens: 3, tokensAtMs: 0 };
    const take = (nowMs: number) => takeToken(connection, { rate: 2, burst: 3, nowMs });
    expect([take(0), take(0), take(0), take(0)]).toEqual([true, true, true, false]);
    expect([take(499), take(500), take(501)]).toEqual([false, true, false]);
    expect([take(100_000), take(100_000), take(100_000), take(100_000)]).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });

  test("counts wrongs within ten seconds, each kind by itself", () => {
    const connection = { strikes: undefined };
    for (let index = 0; index < 9; index++)
      expect(strike(connection, "refused", index)).toBe(false);
    expect(strike(connection, "malformed", 9)).toBe(false);
    expect(strike(connection, "refused", 10_000)).toBe(true);
    expect(strike(connection, "refused", 20_001)).toBe(false);
  });
});

describe("a session", () => {
  test("has the same public name for the same secret, which it does not show", () => {
    const secret = "0123456789abcdef-_";
    expect(sessionOf(secret)).toBe(sessionOf(secret));
    expect(sessionOf(secret)).not.toContain(secret.slice(0, 8));
    expect(sessionOf("0123456789abcdef-A")).not.toBe(sessionOf(secret));
  });

  test("has a name of its own where its secret is too short or has other signs", () => {
    for (const secret of [null, "", "short", "with spaces in its middle", "x".repeat(65)])
      expect(sessionOf(secret)).not.toBe(sessionOf(secret));
  });
});

describe("the catalogue of the live protocol", () => {
  test("has an error for every problem, and the kind says what the status says", () => {
    for (const [code, { status }] of Object.entries(PROBLEMS)) {
      const error = liveErrorOf(isCode(code) ? code : "internal");
      expect(Object.keys(LIVE_ERRORS)).toContain(error);
      if (status === 500) expect(error).toBe("internal");
    }
    const wanted = {
      limit_reached: "limit_subscriptions",
      collection_not_found: "not_found",
      too_large: "too_large",
      invalid_filter: "invalid",
      busy: "unavailable",
      embedding_failed: "unavailable",
    } as const;
    for (const code of [
      "limit_reached",
      "collection_not_found",
      "too_large",
      "invalid_filter",
      "busy",
      "embedding_failed",
    ] as const)
      expect(liveErrorOf(code)).toBe(wanted[code]);
  });

  test("closes with codes of the standard or of our own ranges, each once", () => {
    const codes = Object.values(CLOSES).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    for (const { code, reason } of Object.values(CLOSES)) {
      expect([1001, 1003, 1013].includes(code) || (code >= 4000 && code < 5000)).toBe(true);
      expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
    }
  });
});

function isCode(code: string): code is keyof typeof PROBLEMS {
  return Object.hasOwn(PROBLEMS, code);
}
