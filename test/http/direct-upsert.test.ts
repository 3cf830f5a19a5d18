import { expect, test } from "bun:test";
import { limits } from "../../src/limits.ts";
import { startServer, type Answer, type TestServer } from "../support/server.ts";
import { createRules, readDocument, readUpsert } from "./answers.ts";

const DOCUMENTS = "/api/v1/collections/rules/documents";

/** A type that says so much goes through the framework, and one that says no more past it. */
const PLAIN = { "content-type": "application/json" };
const FRAMED = { "content-type": "application/json; charset=utf-8" };

/** What is the same of an answer whoever gave it. */
function shownOf({ status, headers, text }: Answer) {
  const names = [...headers.keys()].filter((name) => !["date", "x-request-id"].includes(name));
  const body = text
    .replaceAll(headers.get("x-request-id") ?? "", "REQUEST")
    .replace(/"sequence":\d+/, "");
  return { status, names: names.toSorted(), type: headers.get("content-type"), body };
}

async function both(server: TestServer, target: string, body: unknown) {
  const past = await server.call(target, body, PLAIN);
  const through = await server.call(target, body, FRAMED);
  return { past: shownOf(past), through: shownOf(through) };
}

test("documents written past the framework are answered as through it", async () => {
  await using server = await startServer();
  await createRules(server);
  const written = {
    documents: [{ id: "a", text: "one" }, { id: "b" }, { id: 3 }, { id: "c", title: "two" }],
  };
  await server.call(`POST ${DOCUMENTS}`, written, PLAIN);
  const { past, through } = await both(server, `POST ${DOCUMENTS}`, written);
  expect(past.status).toBe(200);
  expect(past).toEqual(through);
  expect(readDocument(await server.call(`GET ${DOCUMENTS}/a`)).text).toBe("one");
});

test.each([
  ["no documents", DOCUMENTS, {}],
  ["documents that are none", DOCUMENTS, { documents: 1 }],
  ["an unknown field", DOCUMENTS, { documents: [], wait: true }],
  [
    "too many",
    DOCUMENTS,
    { documents: Array.from({ length: limits.documentsPerRequestMax + 1 }, () => ({})) },
  ],
  ["half an object", DOCUMENTS, '{"documents":'],
  ["no UTF-8", DOCUMENTS, Buffer.from('{"documents":"\u00ff"}', "latin1")],
  ["too deep", DOCUMENTS, "[".repeat(limits.jsonDepthMax + 1)],
  ["too large", DOCUMENTS, `{"documents":"${"x".repeat(limits.jsonBodyBytesMax)}"}`],
  ["an unknown collection", "/api/v1/collections/none/documents", { documents: [{ text: "x" }] }],
  ["a name that is none", "/api/v1/collections/.rules/documents", { documents: [{ text: "x" }] }],
])("a request with %s is refused past the framework as through it", async (_what, path, body) => {
  await using server = await startServer();
  await createRules(server);
  const { past, through } = await both(server, `POST ${path}`, body);
  expect(past.status).toBeWithin(400, 500);
  expect(past).toEqual(through);
});

test("a request with a key, or that waits, goes through the framework", async () => {
  await using server = await startServer();
  await createRules(server);
  const body = { documents: [{ text: "one" }] };
  const keyed = () => server.call(`POST ${DOCUMENTS}`, body, { ...PLAIN, "idempotency-key": "k" });
  const [first, again] = [await keyed(), await keyed()];
  expect(again.text).toBe(first.text);
  const waited = await server.call(`POST ${DOCUMENTS}?wait=indexed`, body, PLAIN);
  expect(readUpsert(waited).pending_embeddings).toBe(0);
});
