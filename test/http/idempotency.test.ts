import { describe, expect, test } from "bun:test";
import { startServer } from "../support/server.ts";
import { createRules, expectProblem, expectRefused, readDocuments, readUpsert } from "./answers.ts";

const WRITE = "POST /api/v1/collections/rules/documents";
const LIST = "GET /api/v1/collections/rules/documents?limit=1000";

/** Documents that name no id: written twice they would be two. */
const BODY = {
  documents: [{ text: "red flag" }, { text: "green flag" }, { id: "c", text: "blue" }],
};

function keyed(key: string): Record<string, string> {
  return { "idempotency-key": key };
}

describe("Idempotency-Key", () => {
  test("the same request gets the same answer and writes nothing again", async () => {
    await using server = await startServer();
    await createRules(server);
    const first = await server.call(`${WRITE}?wait=indexed`, BODY, keyed("k-1"));
    const again = await server.call(`${WRITE}?wait=indexed`, BODY, keyed("k-1"));
    expect(readUpsert(first).items.map((item) => item.status)).toEqual(Array(3).fill("created"));
    expect(again.json).toEqual(first.json);
    const { items } = readDocuments(await server.call(LIST));
    expect(items).toHaveLength(3);
    expect(items.map((item) => item.sequence).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  });

  test("the answer stays the same when the state has moved on", async () => {
    await using server = await startServer();
    await createRules(server);
    // So many that they are not embedded yet when the first answer is given.
    const documents = Array.from({ length: 600 }, (_, index) => ({ text: `flag ${index}` }));
    const first = await server.call(WRITE, { documents }, keyed("k-1"));
    const more = { documents: [{ id: "late", text: "black and white" }] };
    await server.call(`${WRITE}?wait=indexed`, more);
    const again = await server.call(WRITE, { documents }, keyed("k-1"));
    expect(again.json).toEqual(first.json);
  });

  test("another request with the key is refused and writes nothing", async () => {
    await using server = await startServer();
    await createRules(server);
    await server.call(WRITE, BODY, keyed("k-1"));
    const other = { documents: [{ text: "chequered flag" }] };
    expectProblem(await server.call(WRITE, other, keyed("k-1")), 422, "idempotency_mismatch");
    expect(readDocuments(await server.call(LIST)).items).toHaveLength(3);
  });

  test("another key, and the same key in another collection, are requests of their own", async () => {
    await using server = await startServer();
    await createRules(server);
    await server.call("POST /api/v1/collections", { name: "other" });
    const ids = new Set<string | null>();
    for (const [path, key] of [
      [WRITE, "k-1"],
      [WRITE, "k-2"],
      ["POST /api/v1/collections/other/documents", "k-1"],
    ] as const) {
      for (const { id } of readUpsert(await server.call(path, BODY, keyed(key))).items) ids.add(id);
    }
    expect(ids.size).toBe(7);
    expect(readDocuments(await server.call(LIST)).items).toHaveLength(5);
  });

  test("through an alias the key is the collection's", async () => {
    await using server = await startServer();
    await createRules(server);
    await server.call("PUT /api/v1/aliases/live", { collection: "rules" });
    await server.call(WRITE, BODY, keyed("k-1"));
    await server.call("POST /api/v1/collections/live/documents", BODY, keyed("k-1"));
    expect(readDocuments(await server.call(LIST)).items).toHaveLength(3);
  });

  test("a refused request leaves the key unused", async () => {
    await using server = await startServer();
    await createRules(server);
    expectProblem(
      await server.call(WRITE, { documents: [] }, keyed("k-1")),
      400,
      "invalid_request",
    );
    expect(readUpsert(await server.call(WRITE, BODY, keyed("k-1"))).upserted).toBe(3);
  });

  test("twenty at once write once: each gets the first one's answer or is told to wait", async () => {
    await using server = await startServer();
    await createRules(server);
    const documents = Array.from({ length: 150 }, (_, index) => ({ text: `flag ${index}` }));
    const send = () => server.call(WRITE, { documents }, keyed("k-1"));
    const answers = await Promise.all(Array.from({ length: 20 }, send));
    const busy = answers.filter((answer) => answer.status !== 200);
    for (const answer of busy) {
      expectProblem(answer, 409, "idempotency_in_flight");
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    }
    expect(busy.length).toBeLessThan(20);
    expect(readDocuments(await server.call(LIST)).items).toHaveLength(150);
  });

  test("a key is 1 to 255 printable ASCII characters", async () => {
    await using server = await startServer();
    await createRules(server);
    const refused = { target: WRITE, body: BODY, status: 400, code: "invalid_request" } as const;
    await expectRefused(server, {
      empty: { ...refused, headers: keyed("") },
      "of 256 characters": { ...refused, headers: keyed("k".repeat(256)) },
      "beyond ASCII": { ...refused, headers: keyed("clé") },
      "with a tab": { ...refused, headers: keyed("a\tb") },
    });
    expect((await server.call(WRITE, BODY, keyed("k".repeat(255)))).status).toBe(200);
    expect((await server.call(WRITE, BODY, keyed('"a b~!"'))).status).toBe(200);
  });
});
