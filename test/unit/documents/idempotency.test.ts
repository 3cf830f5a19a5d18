import { describe, expect, test } from "bun:test";
import { createIdempotency } from "../../../src/documents/idempotency.ts";
import { openStore } from "../engine/fixtures.ts";
import { problemOf } from "../problems/problem-of.ts";

async function open() {
  const opened = await openStore();
  return { ...opened, idempotency: createIdempotency(opened.store) };
}

describe("a request with an Idempotency-Key", () => {
  test("runs once, and a repeated one gets the first one's answer", async () => {
    await using opened = await open();
    let runs = 0;
    const work = async () => ({ runs: ++runs, note: "é" });
    expect(await opened.idempotency.once("k", "body", work)).toEqual({ runs: 1, note: "é" });
    expect(await opened.idempotency.once("k", "body", work)).toEqual({ runs: 1, note: "é" });
    expect(await opened.idempotency.once("other", "body", work)).toEqual({ runs: 2, note: "é" });
    // Another process on the same data knows it too.
    expect(await createIdempotency(opened.store).once("k", "body", work)).toEqual({
      runs: 1,
      note: "é",
    });
  });

  test("is refused while the first still runs, and answered afterwards", async () => {
    await using opened = await open();
    const gate = Promise.withResolvers<string>();
    const first = opened.idempotency.once("k", "body", () => gate.promise);
    const second = await problemOf(() =>
      opened.idempotency.once("k", "body", async () => "second"),
    );
    expect([second.code, second.retryAfterMs]).toEqual(["idempotency_in_flight", 1000]);
    gate.resolve("first");
    expect(await first).toBe("first");
    expect(await opened.idempotency.once("k", "body", async () => "third")).toBe("first");
  });

  test("is refused where the key came with another request before", async () => {
    await using opened = await open();
    await opened.idempotency.once("k", "body", async () => "first");
    const problem = await problemOf(() =>
      opened.idempotency.once("k", "Body", async () => "second"),
    );
    expect(problem.code).toBe("idempotency_mismatch");
    expect(await opened.idempotency.once("k", "body", async () => "third")).toBe("first");
  });

  test("runs again where the first one failed", async () => {
    await using opened = await open();
    const failing = opened.idempotency.once("k", "body", async () => {
      throw new Error("no room");
    });
    expect(await failing.catch((reason: unknown) => String(reason))).toBe("Error: no room");
    expect(await opened.idempotency.once("k", "body", async () => "second")).toBe("second");
  });
});

describe("an Idempotency-Key", () => {
  test("is told apart by its scope", async () => {
    await using opened = await openStore();
    const idempotency = createIdempotency(opened.store);
    expect(idempotency.key("k", "a")).not.toBe(idempotency.key("k", "b"));
    expect(idempotency.key("k", "a")).toBe(idempotency.key("k", "a"));
  });

  test.each(["", "é", "a\nb", "a\tb", "x".repeat(256)])("cannot be %j", async (header) => {
    await using opened = await openStore();
    const idempotency = createIdempotency(opened.store);
    const problem = await problemOf(() => idempotency.key(header, "a"));
    expect(problem.code).toBe("invalid_request");
    expect(problem.detail).toContain("Idempotency-Key");
  });

  test("names the documents of a request that have no id the same each time", async () => {
    await using opened = await openStore();
    const idempotency = createIdempotency(opened.store);
    const documentId = (key: string, index: number) => idempotency.documentId(key, index);
    expect(documentId("k", 0)).toBe(documentId("k", 0));
    const all = [documentId("k", 0), documentId("k", 1), documentId("l", 0)];
    expect(new Set(all).size).toBe(3);
    for (const id of all) expect(id).toMatch(/^[0-9a-f]{32}$/);
  });
});
