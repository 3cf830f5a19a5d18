import { describe, expect, test } from "bun:test";
import {
  isSensitiveKey,
  REDACTED,
  sanitizeSensitiveData,
} from "../../../src/telemetry/redaction.ts";

describe("sanitizeSensitiveData", () => {
  test("is blind to the case and to how words are joined", () => {
    for (const key of [
      "PASSWORD",
      "Password",
      "userPassword",
      "user-password",
      "API-KEY",
      "apiKey",
      "ApiKey",
      "X-Api-Key",
      "OPENAI_API_KEY",
      "privateKey",
      "aws.access.key",
      "accessToken",
      "access_token",
      "OAuthToken",
      "Set-Cookie",
      "clientSecret",
      "password2",
      "AUTHORIZATION",
    ])
      expect([key, isSensitiveKey(key)]).toEqual([key, true]);
  });

  test("leaves keys that only look alike", () => {
    const fields = {
      total_tokens: 12,
      max_tokens: 5,
      tokens: 3,
      author: "Verne",
      authored: true,
      tokenizer: "wordpiece",
      secretary: "Miss Moneypenny",
      key: "k1",
      keyword: "flag",
      primary_key: 7,
      access: "public",
      apiary: "bees",
    };
    expect(sanitizeSensitiveData(fields)).toBe(fields);
  });

  test("reaches nested objects, lists and what shows itself as JSON, and changes nothing of what it is given", () => {
    const shown = { toJSON: () => ({ token: "t", lap: 1 }) };
    const fields = { user: { name: "ann", keys: [{ api_key: "a" }, "b"] }, shown, lap: 3 };
    expect(sanitizeSensitiveData<Record<string, unknown>>(fields)).toEqual({
      user: { name: "ann", keys: [{ api_key: REDACTED }, "b"] },
      shown: { token: REDACTED, lap: 1 },
      lap: 3,
    });
    expect(fields.user.keys[0]).toEqual({ api_key: "a" });
  });

  test("hides what is met twice both times, and ends in a ring", () => {
    const secret = { token: "t" };
    const ring: Record<string, unknown> = { first: secret, second: secret, password: "x" };
    ring["self"] = ring;
    expect(sanitizeSensitiveData({ ring })).toEqual({
      ring: {
        first: { token: REDACTED },
        second: { token: REDACTED },
        password: REDACTED,
        self: "[circular]",
      },
    });
  });

  test("survives what cannot be read, and what is too deep to be", () => {
    let deep: Record<string, unknown> = { token: "t" };
    for (let level = 0; level < 10_000; level++) deep = { deep };
    const broken = {
      get lap(): number {
        throw new Error("no");
      },
    };
    const shown = JSON.stringify(sanitizeSensitiveData({ deep, broken, lap: 3 }));
    expect(shown).toContain("[too deep]");
    expect(shown).toContain('"lap":3');
    expect(shown).not.toContain('"t"');
  });

  test("costs little where there is nothing to hide", () => {
    const fields = {
      request_id: "r1",
      method: "GET",
      path: "/a",
      status_code: 200,
      duration_ms: 1,
    };
    for (let warm = 0; warm < 10_000; warm++) sanitizeSensitiveData(fields);
    const start = performance.now();
    for (let lap = 0; lap < 100_000; lap++) sanitizeSensitiveData(fields);
    const microseconds = (performance.now() - start) / 100;
    expect(microseconds).toBeLessThan(5);
  });
});
