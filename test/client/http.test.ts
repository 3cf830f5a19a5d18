import { expect, test } from "bun:test";
import { createHttp, SlipstreamError } from "../../client/src/index.ts";
import { startServer } from "../support/server.ts";

test("a collection is made, filled, searched, changed and dropped", async () => {
  await using server = await startServer();
  const http = createHttp({ url: `${server.url}/` });
  const made = await http.collections.create({ name: "books", model: "static-256" });
  expect(made).toMatchObject({ name: "books", dimensions: 256 });
  const documents = [
    { id: "a/1", title: "Storm", text: "A storm over the harbour.", metadata: { year: 2026 } },
    { id: "b", text: "Bread and butter." },
  ];
  const result = await http.documents.upsert("books", documents, { wait: "indexed", key: "k" });
  expect(result).toMatchObject({ upserted: 2, pending_embeddings: 0 });
  expect(await http.documents.upsert("books", documents, { wait: "indexed", key: "k" })).toEqual(
    result,
  );
  expect(await http.documents.get("books", "a/1")).toMatchObject({ title: "Storm" });
  const found = await http.search("books", { query: "storm", k: 1, filter: { year: 2026 } });
  expect(found.hits.map(({ id }) => id)).toEqual(["a/1"]);

  const first = await http.documents.list("books", { limit: 1 });
  expect(first.items.length).toBe(1);
  const rest = await http.documents.list("books", { cursor: first.next_cursor ?? "" });
  expect(rest.items.length).toBe(1);
  const filtered = await http.documents.list("books", { filter: { year: { $gt: 2000 } } });
  expect(filtered.items.map(({ id }) => id)).toEqual(["a/1"]);

  await http.documents.delete("books", "b");
  expect(await http.documents.deleteMany("books", { ids: ["a/1"] })).toMatchObject({ deleted: 1 });
  const fusion = { method: "rrf" } as const;
  expect((await http.collections.configure("books", { fusion })).fusion.method).toBe("rrf");
  expect((await http.collections.list()).items.map(({ name }) => name)).toEqual(["books"]);
  await http.collections.drop("books");
  expect(http.collections.get("books")).rejects.toMatchObject({ code: "collection_not_found" });
});

test("a room is published to once under a key, read, configured, listed and forgotten", async () => {
  await using server = await startServer();
  const { rooms } = createHttp({ url: server.url });
  const first = await rooms.publish("news", { n: 1 }, { key: "k" });
  expect(await rooms.publish("news", { n: 1 }, { key: "k" })).toEqual({
    ...first,
    duplicate: true,
  });
  await rooms.publish("news", { n: 2 });
  const page = await rooms.history("news", { after: 0, limit: 1 });
  expect(page.items.map(({ data }) => data)).toEqual([{ n: 1 }]);
  expect(page).toMatchObject({ more: true, head: 2 });
  expect(await rooms.presence("news")).toEqual({ room: "news", count: 0, members: [] });
  const settings = { history_messages: 5, history_seconds: 60 };
  expect(await rooms.configure("news", settings)).toMatchObject(settings);
  expect(await rooms.get("news")).toMatchObject({ name: "news", head: 2, ...settings });
  expect((await rooms.list()).items.map(({ name }) => name)).toEqual(["news"]);
  await rooms.delete("news");
  expect((await rooms.history("news")).items).toEqual([]);
});

test("a standing query is stored, shown, listed, read and removed", async () => {
  await using server = await startServer();
  const { collections, standingQueries } = createHttp({ url: server.url });
  await collections.create({ name: "news", model: "static-256" });
  const query = { collection: "news", text: "ferry", mode: "keyword" } as const;
  const webhook = { url: "https://hooks.example.com/ferries" };
  const made = await standingQueries.create({ ...query, webhook });
  expect(made.webhook?.secret).toStartWith("whsec_");
  expect(await standingQueries.get(made.id)).toMatchObject({ text: "ferry", webhook });
  expect((await standingQueries.list({ limit: 1 })).items.map(({ id }) => id)).toEqual([made.id]);
  const { items, next, more } = await standingQueries.matches(made.id, { limit: 5 });
  expect({ items, more }).toEqual({ items: [], more: false });
  expect(await standingQueries.matches(made.id, { since: next })).toMatchObject({ next });
  await standingQueries.delete(made.id);
  expect(standingQueries.get(made.id)).rejects.toMatchObject({ code: "standing_query_not_found" });
});

test("a refusal is an error with the server's code, fields and request id", async () => {
  await using server = await startServer();
  const http = createHttp({ url: server.url });
  const refused = await http.search("none", { k: 0 }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(SlipstreamError);
  expect(refused).toMatchObject({
    name: "SlipstreamError",
    code: "invalid_request",
    status: 400,
    errors: [{ field: "/k" }],
  });
  if (refused instanceof SlipstreamError) {
    expect(refused.requestId).toMatch(/./);
    expect(refused.message).toBe(`invalid_request: ${refused.detail}`);
  }
});

test("an answer that is no problem, one that waits and a lost network are told apart", async () => {
  const answers: Record<string, () => Response | Promise<Response>> = {
    "/proxy/api/v1/collections/html": () =>
      new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "retry-after": "7" } }),
    "/proxy/api/v1/collections/never": () => new Promise<Response>(() => undefined),
  };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url, headers }) =>
      answers[new URL(url).pathname]?.() ??
      Response.json({ name: headers.get("authorization") ?? "nobody" }),
  });
  const url = `${server.url.origin}/proxy`;
  const { collections } = createHttp({ url, timeoutMs: 50 });
  const failures = ["html", "never"].map((name) =>
    collections.get(name).catch((error: unknown) => error),
  );
  const [html, never] = await Promise.all(failures);
  expect(html).toMatchObject({ code: "http_502", status: 502, retryAfterMs: 7000 });
  expect(never).toMatchObject({ code: "timeout" });
  const off = collections.get("never", { signal: AbortSignal.abort(new Error("never mind")) });
  expect(off).rejects.toThrow("never mind");
  const guarded = createHttp({ url, token: async () => "secret" });
  expect((await guarded.collections.get("any")).name).toBe("Bearer secret");
  expect((await collections.get("any")).name).toBe("nobody");
  await server.stop(true);
  const gone = await collections.get("any").catch((error: unknown) => error);
  expect(gone).toMatchObject({ code: "network" });
});

test("another fetch may be given", async () => {
  const asked: string[] = [];
  const http = createHttp({
    url: "http://nowhere.example",
    fetch: async (url, { method }) => {
      asked.push(`${method} ${url}`);
      return new Response(null, { status: 204 });
    },
  });
  await http.documents.delete("a b", "c/d");
  await http.collections.list({ limit: 2, cursor: "x=" });
  expect(asked).toEqual([
    "DELETE http://nowhere.example/api/v1/collections/a%20b/documents/c%2Fd",
    "GET http://nowhere.example/api/v1/collections?limit=2&cursor=x%3D",
  ]);
});
