import { expect, test } from "bun:test";
import { createClient, type SlipstreamError } from "../../client/src/index.ts";
import { eventually } from "../support/process.ts";
import { startServer } from "../support/server.ts";

test("a document that a standing query is about is told as it comes and changes, others are not", async () => {
  await using server = await startServer();
  const client = createClient({ url: server.url });
  const { collections, documents } = client.http;
  await collections.create({ name: "notes", model: "static-256" });
  const told: string[] = [];
  const query = {
    text: "harbour storm",
    collection: "notes",
    mode: "keyword",
    fields: ["title"],
  } as const;
  const subscription = client.subscribeQuery(query, {
    match: ({ doc, event, data }) => told.push(`${event} ${doc} ${JSON.stringify(data)}`),
  });
  expect(await subscription.ready()).toMatchObject({ minScore: 1, model: "static-256" });
  await documents.upsert("notes", [
    { id: "bread", text: "Bread and butter." },
    { id: "storm", title: "A storm", text: "The harbour was closed." },
  ]);
  await documents.upsert("notes", [{ id: "storm", title: "The storm", text: "Harbour open." }]);
  await eventually("both are told", () => (told.length >= 2 ? true : undefined));
  expect(told).toEqual(['insert storm {"title":"A storm"}', 'update storm {"title":"The storm"}']);
  client.close();
});

test("a standing query without a threshold for meaning is refused", async () => {
  await using server = await startServer();
  const client = createClient({ url: server.url });
  await client.http.collections.create({ name: "notes", model: "static-256" });
  const { promise, resolve } = Promise.withResolvers<SlipstreamError | undefined>();
  const query = { text: "storm", collection: "notes", mode: "semantic" } as const;
  client.subscribeQuery(query, { ended: resolve });
  expect(await promise).toMatchObject({ code: "invalid" });
  client.close();
});
