import { describe, expect, test } from "bun:test";
import { CollectionSchema } from "../../src/contract/collections.ts";
import type { ProblemCode } from "../../src/problems.ts";
import { startServer } from "../support/server.ts";
import {
  createRules,
  expectProblem,
  expectRefused,
  idsOf,
  readCollection,
  readPages,
  readSearch,
  readUpsert,
  writeRules,
} from "./answers.ts";

describe("create", () => {
  test("a name is enough: the rest is the default model's", async () => {
    await using server = await startServer();
    const answer = await server.call("POST /api/v1/collections", { name: "rules" });
    expect(answer.status).toBe(201);
    const state = readCollection(answer);
    expect(state).toMatchObject({
      name: "rules",
      model: "static-256",
      dimensions: 256,
      metric: "cosine",
      chunking: { strategy: "auto", tokens_max: 256, tokens_overlap: 0 },
      fusion: { method: "weighted", weight: 0.3 },
      quantization: "i8",
      documents: 0,
      chunks: 0,
      pending_embeddings: 0,
      aliases: [],
    });
    expect(state.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect((await server.call("GET /api/v1/collections/rules")).json).toEqual(state);
  });

  test("every option is kept", async () => {
    await using server = await startServer();
    const options = {
      name: "a.B_c-9",
      model: "static-256",
      dimensions: 256,
      metric: "cosine",
      chunking: { strategy: "none", tokens_max: 64, tokens_overlap: 8 },
      fusion: { method: "rrf", weight: 0.75 },
    };
    const answer = await server.call("POST /api/v1/collections", options);
    expect(readCollection(answer)).toMatchObject(options);
  });

  test("model none takes the caller's dimensions", async () => {
    await using server = await startServer();
    const answer = await server.call("POST /api/v1/collections", {
      name: "own",
      model: "none",
      dimensions: 4096,
    });
    expect(readCollection(answer)).toMatchObject({ model: "none", dimensions: 4096 });
  });

  test("what is not a collection is refused, and nothing is made", async () => {
    await using server = await startServer();
    const bodies: [why: string, body: unknown, code: ProblemCode][] = [
      ["no name", {}, "invalid_request"],
      ["an empty name", { name: "" }, "invalid_request"],
      ["a name with a space", { name: "a b" }, "invalid_request"],
      ["a name with a slash", { name: "a/b" }, "invalid_request"],
      ["a name that begins with a dot", { name: ".." }, "invalid_request"],
      ["a name that begins with a dash", { name: "-a" }, "invalid_request"],
      ["a name that ends with a newline", { name: "a\n" }, "invalid_request"],
      ["a name beyond ASCII", { name: "règles" }, "invalid_request"],
      ["a name of 65 characters", { name: "a".repeat(65) }, "invalid_request"],
      ["a name that is a number", { name: 7 }, "invalid_request"],
      ["an unknown field", { name: "a", colour: "red" }, "invalid_request"],
      ["an unknown field of chunking", { name: "a", chunking: { size: 3 } }, "invalid_request"],
      ["an unknown model", { name: "a", model: "no-such-model" }, "unknown_model"],
      ["an unknown metric", { name: "a", metric: "l2" }, "invalid_request"],
      ["model none without dimensions", { name: "a", model: "none" }, "invalid_request"],
      ["no dimensions", { name: "a", model: "none", dimensions: 0 }, "invalid_request"],
      ["4097 dimensions", { name: "a", model: "none", dimensions: 4097 }, "invalid_request"],
      ["a half dimension", { name: "a", model: "none", dimensions: 1.5 }, "invalid_request"],
      ["dimensions the model has not", { name: "a", dimensions: 384 }, "dimensions_mismatch"],
      ["chunks of 15 tokens", { name: "a", chunking: { tokens_max: 15 } }, "invalid_request"],
      ["chunks of 257 tokens", { name: "a", chunking: { tokens_max: 257 } }, "invalid_request"],
      [
        "chunks that overlap by more than half",
        { name: "a", chunking: { tokens_max: 64, tokens_overlap: 33 } },
        "invalid_request",
      ],
      ["an unknown fusion", { name: "a", fusion: { method: "sum" } }, "invalid_request"],
      [
        "a weight above 1",
        { name: "a", fusion: { method: "rrf", weight: 1.01 } },
        "invalid_request",
      ],
      ["null", null, "invalid_request"],
      ["a list", [], "invalid_request"],
      ["a text", '"rules"', "invalid_request"],
      ["nothing", undefined, "invalid_request"],
    ];
    const target = "POST /api/v1/collections";
    const refused = bodies.map(([why, body, code]) => [why, { target, body, status: 400, code }]);
    await expectRefused(server, Object.fromEntries(refused));
    expect((await server.call("GET /api/v1/collections")).json).toMatchObject({ items: [] });
  });

  test("a name of 64 characters is taken", async () => {
    await using server = await startServer();
    const name = "a".repeat(64);
    expect((await server.call("POST /api/v1/collections", { name })).status).toBe(201);
    expect((await server.call(`GET /api/v1/collections/${name}`)).status).toBe(200);
  });

  test("the name of a collection or an alias is not given twice", async () => {
    await using server = await startServer();
    await createRules(server);
    await server.call("PUT /api/v1/aliases/live", { collection: "rules" });
    for (const name of ["rules", "live"]) {
      const answer = await server.call("POST /api/v1/collections", { name });
      expectProblem(answer, 409, "name_taken");
    }
  });

  test("twenty at once with one name make one collection", async () => {
    await using server = await startServer();
    const create = () => server.call("POST /api/v1/collections", { name: "rules" });
    const answers = await Promise.all(Array.from({ length: 20 }, create));
    const statuses = answers.map((answer) => answer.status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(19);
  });
});

describe("read and list", () => {
  test("go on while collections are made and dropped", async () => {
    await using server = await startServer();
    const names = Array.from({ length: 20 }, (_, at) => `c${at}`);
    const answers = await Promise.all(
      names.flatMap((name) => [
        server.call("POST /api/v1/collections", { name }),
        server.call("GET /api/v1/collections"),
        server.call("POST /api/v1/admin/verify"),
        server.call(`DELETE /api/v1/collections/${names[0]}`),
      ]),
    );
    expect(answers.filter(({ status }) => ![200, 201, 204, 404].includes(status))).toEqual([]);
    const reads = answers.filter((_, at) => at % 4 === 1 || at % 4 === 2);
    expect(reads.map(({ status }) => status)).toEqual(reads.map(() => 200));
  });

  test("the state counts documents and chunks and names the aliases", async () => {
    await using server = await startServer();
    await createRules(server);
    await server.call("PUT /api/v1/aliases/live", { collection: "rules" });
    const paragraphs =
      "# One\n\nThe red flag stops the race.\n\n# Two\n\nThe green flag starts it.";
    await writeRules(server, [
      { id: "a", text: paragraphs },
      { id: "b", text: "flag" },
    ]);
    for (const name of ["rules", "live"]) {
      const state = readCollection(await server.call(`GET /api/v1/collections/${name}`));
      expect(state).toMatchObject({
        name: "rules",
        documents: 2,
        chunks: 3,
        pending_embeddings: 0,
        aliases: ["live"],
      });
    }
  });

  test("an unknown name is not found, on every path below it", async () => {
    await using server = await startServer();
    const requests: [target: string, body?: unknown][] = [
      ["GET /api/v1/collections/gone"],
      ["PATCH /api/v1/collections/gone", {}],
      ["DELETE /api/v1/collections/gone"],
      ["GET /api/v1/collections/gone/documents"],
      ["POST /api/v1/collections/gone/documents", { documents: [{ id: "a", text: "b" }] }],
      ["GET /api/v1/collections/gone/documents/a"],
      ["DELETE /api/v1/collections/gone/documents/a"],
      ["POST /api/v1/collections/gone/documents/delete", { ids: ["a"] }],
      ["GET /api/v1/collections/gone/search?q=flag"],
      ["POST /api/v1/collections/gone/search", { query: "flag" }],
      ["POST /api/v1/search/multi", { searches: [{ collection: "gone", query: "flag" }] }],
      ["PUT /api/v1/aliases/live", { collection: "gone" }],
    ];
    for (const [target, body] of requests) {
      expectProblem(await server.call(target, body), 404, "collection_not_found");
    }
  });

  test("pages hold every collection once, in the order of names", async () => {
    await using server = await startServer();
    const names = Array.from({ length: 53 }, (_, index) => `c${(index * 17) % 53}`);
    for (const name of names) await server.call("POST /api/v1/collections", { name });
    const namesIn = async (query: string) => {
      const target = `GET /api/v1/collections${query}`;
      const pages = await readPages(server, CollectionSchema, target);
      return pages.map((page) => page.map((item) => item.name));
    };
    const pages = await namesIn("?limit=7");
    expect(pages.map((page) => page.length)).toEqual([7, 7, 7, 7, 7, 7, 7, 4]);
    expect(pages.flat()).toEqual(names.toSorted());
    expect((await namesIn("?limit=53")).length).toBe(1);
    expect((await namesIn("?"))[0]?.length).toBe(50);
  });

  test("a limit outside 1 to 1000 is refused and the field is named", async () => {
    await using server = await startServer();
    for (const limit of ["0", "-1", "1001", "1.5", "abc", ""]) {
      const answer = await server.call(`GET /api/v1/collections?limit=${limit}`);
      const problem = expectProblem(answer, 400, "invalid_request");
      expect([limit, problem.errors.map((error) => error.field)]).toEqual([
        limit,
        ["query:/limit"],
      ]);
    }
  });

  test("an unknown name in the query and a cursor that is not ours are refused", async () => {
    await using server = await startServer();
    const cursors = ["%00", "!!!", "YQ==", "_w", "a".repeat(4097)].map((text) => `cursor=${text}`);
    for (const query of [...cursors, "lmit=5"]) {
      const answer = await server.call(`GET /api/v1/collections?${query}`);
      expectProblem(answer, 400, "invalid_request");
    }
  });
});

describe("configure", () => {
  test("fusion changes, alone and in part; searches follow", async () => {
    await using server = await startServer();
    await createRules(server);
    await writeRules(server, [{ id: "a", text: "The red flag stops the race." }]);
    const patch = async (body: unknown) =>
      readCollection(await server.call("PATCH /api/v1/collections/rules", body)).fusion;
    expect(await patch({ fusion: { method: "rrf" } })).toEqual({ method: "rrf", weight: 0.3 });
    expect(await patch({ fusion: { method: "weighted", weight: 1 } })).toEqual({
      method: "weighted",
      weight: 1,
    });
    expect(await patch({})).toEqual({ method: "weighted", weight: 1 });
    const search = { query: "flag", explain: true };
    const found = readSearch(await server.call("POST /api/v1/collections/rules/search", search));
    expect(found.hits[0]?.scores).toMatchObject({ semantic_share: 1, keyword_share: 0 });
  });

  test("what would change stored vectors does not change", async () => {
    await using server = await startServer();
    await createRules(server);
    for (const body of [
      { model: "all-MiniLM-L6-v2" },
      { name: "other" },
      { chunking: { tokens_max: 32 } },
      { fusion: { method: "rrf", k: 60 } },
      { fusion: { weight: 0.5 } },
    ]) {
      const answer = await server.call("PATCH /api/v1/collections/rules", body);
      expectProblem(answer, 400, "invalid_request");
    }
  });
});

describe("drop", () => {
  test("frees the name and the aliases, and nothing of the old documents is left", async () => {
    await using server = await startServer();
    await createRules(server);
    await server.call("PUT /api/v1/aliases/live", { collection: "rules" });
    await writeRules(
      server,
      Array.from({ length: 250 }, (_, index) => ({ id: `d${index}`, text: `red flag ${index}` })),
    );
    const dropped = await server.call("DELETE /api/v1/collections/rules");
    expect(dropped.status).toBe(204);
    expect(dropped.text).toBe("");
    expectProblem(await server.call("GET /api/v1/collections/rules"), 404, "collection_not_found");
    expectProblem(await server.call("GET /api/v1/collections/live"), 404, "collection_not_found");
    expectProblem(
      await server.call("DELETE /api/v1/collections/rules"),
      404,
      "collection_not_found",
    );
    await createRules(server);
    expect(readCollection(await server.call("GET /api/v1/collections/rules"))).toMatchObject({
      documents: 0,
      chunks: 0,
    });
    for (const mode of ["hybrid", "semantic", "keyword"]) {
      const body = { query: "red flag", mode };
      expect(idsOf(await server.call("POST /api/v1/collections/rules/search", body))).toEqual([]);
    }
  });

  test("by an alias drops the collection behind it", async () => {
    await using server = await startServer();
    await createRules(server);
    await server.call("PUT /api/v1/aliases/live", { collection: "rules" });
    expect((await server.call("DELETE /api/v1/collections/live")).status).toBe(204);
    expectProblem(await server.call("GET /api/v1/collections/rules"), 404, "collection_not_found");
  });

  test("while searches and writes run, each of them is answered or not found", async () => {
    await using server = await startServer();
    for (let round = 0; round < 5; round++) {
      await createRules(server);
      await writeRules(server, [{ id: "a", text: "The red flag stops the race." }]);
      const documents = Array.from({ length: 120 }, (_, index) => ({ text: `flag ${index}` }));
      const others = Array.from({ length: 20 }, (_, index) =>
        index % 4 === 0
          ? server.call("POST /api/v1/collections/rules/documents", { documents })
          : server.call("POST /api/v1/collections/rules/search", { query: `flag ${index}` }),
      );
      const dropped = await server.call("DELETE /api/v1/collections/rules");
      const statuses = (await Promise.all(others)).map((answer) => answer.status);
      expect(dropped.status).toBe(204);
      expect(statuses.filter((status) => status !== 200 && status !== 404)).toEqual([]);
      const state = await server.call("GET /api/v1/collections/rules");
      expectProblem(state, 404, "collection_not_found");
    }
  });

  test("a document written again after a drop gets its vector", async () => {
    await using server = await startServer();
    await createRules(server);
    const documents = [{ id: "a", text: "The red flag stops the race." }];
    await server.call("POST /api/v1/collections/rules/documents", { documents });
    await server.call("DELETE /api/v1/collections/rules");
    await createRules(server);
    const path = "POST /api/v1/collections/rules/documents?wait=indexed";
    expect(readUpsert(await server.call(path, { documents })).items).toEqual([
      { id: "a", status: "created" },
    ]);
    const body = { query: "race stopped", mode: "semantic" };
    const found = readSearch(await server.call("POST /api/v1/collections/rules/search", body));
    expect(found.hits[0]?.score).toBeGreaterThan(0.3);
  });
});
