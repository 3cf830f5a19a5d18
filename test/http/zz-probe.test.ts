import { test, expect } from "bun:test";
import { startServer } from "../support/server.ts";
test("start", async () => {
  for (let i = 0; i < 5; i++) {
    const t = performance.now();
    await using s = await startServer();
    const t2 = performance.now();
    const r = await s.call("POST /api/v1/collections", { name: "a" });
    const r2 = await s.call("POST /api/v1/collections/a/documents?wait=indexed", {
      documents: [{ id: "x", text: "red flag" }],
    });
    const t3 = performance.now();
    await s.stop();
    console.log(r.status, r2.text, t2 - t, t3 - t2, performance.now() - t3);
  }
  await using s = await startServer();
  await s.call("POST /api/v1/collections", { name: "a" });
  const show = async (...a: Parameters<typeof s.call>) => {
    const r = await s.call(...a);
    console.log(
      a[0],
      r.status,
      r.headers.get("allow"),
      r.headers.get("content-type"),
      r.text.slice(0, 400),
    );
  };
  await show("PUT /api/v1/collections/");
  await show("PUT /api/v1/collections");
  await show("GET /api/v1/collections/");
  await show("GET /api/v1/collections?limit=1&foo=2");
  await show("GET /api/v1/collections?limit=0");
  await show("GET /api/v1/collections?limit=abc");
  await show("GET /api/v1/collections/a/documents/%E0%A4%A");
  await show("GET /api/v1/collections/a/documents/a%2Fb");
  await show("GET /api/v1/collections/a/documents/%zz");
  await show("POST /api/v1/collections/a/documents", {
    documents: [{ id: "q", text: "x" }],
    foo: 1,
  });
  await show("POST /api/v1/collections/a/documents", {
    documents: [
      { id: "%zz", text: "x", metadata: JSON.parse('{"__proto__":1,"constructor":2}') },
      { id: "a/b", text: "x y" },
    ],
  });
  await show("GET /api/v1/collections/a/documents");
  await show("GET /api/v1/collections/a/documents/%25zz");
  await show("GET /api/v1/collections/a/documents/a%2Fb");
  await show("POST /api/v1/collections/a/search", { query: "x", facets: ["__proto__"] });
  await show("POST /api/v1/collections/a/search", {
    query: "x",
    filter: { $and: Array.from({ length: 3000 }, () => ({})) },
  });
  await show("POST /api/v1/collections/a/search", '{"query":"x","min_score":1e999}');
  await show("POST /api/v1/collections/a/search", '{"query":"x","k":1e9}');
  await show("POST /api/v1/collections/a/search", { query: "x", nonsense: 1 });
  await show("HEAD /api/v1/collections");
  await show("OPTIONS /api/v1/collections");
  await show("GET /v1/nothing");
  await show("GET /nothing");
  await show("GET /api/docs/none");
  await show("GET /api/docs");
  await show("GET /api/docs/swagger-ui.css");
  await show("GET /api/openapi.json");
  await show("POST /v1/embeddings", { model: "static-256", input: [] });
  console.log(await s.log());
}, 60000);
