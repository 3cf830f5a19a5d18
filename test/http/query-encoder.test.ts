import { describe, expect, test } from "bun:test";
import { startServer, type TestServer } from "../support/server.ts";
import { createRules, expectProblem, idsOf, readSearch, writeRules } from "./answers.ts";

const SEARCH = "POST /api/v1/collections/rules/search";

const RULES = [
  { id: "rain", text: "When it rains hard, the cars follow the safety car at walking pace." },
  { id: "tyres", text: "Each driver receives eight sets of slick tyres for a weekend." },
  { id: "fire", text: "Marshals put out burning cars with foam extinguishers." },
];

async function withModel(model: string): Promise<TestServer> {
  const server = await startServer();
  await createRules(server, { model });
  await writeRules(server, RULES);
  return server;
}

describe("a query of a collection embedded by all-MiniLM-L6-v2", () => {
  test("finds the same first hit by whichever encoder", async () => {
    await using server = await withModel("all-MiniLM-L6-v2");
    for (const query_encoder of ["full", "fast", "rescored"]) {
      const body = { query: "wet weather", mode: "semantic", query_encoder, explain: true };
      const answer = await server.call(SEARCH, body);
      expect(idsOf(answer)[0]).toBe("rain");
      expect(readSearch(answer).explain).toMatchObject({ query_encoder });
    }
  });

  test("leans a little more on meaning where it is fast, unless the request says how to merge", async () => {
    await using server = await withModel("all-MiniLM-L6-v2");
    const weightOf = async (body: Record<string, unknown>) => {
      const answer = await server.call(SEARCH, { query: "wet weather", explain: true, ...body });
      return readSearch(answer).explain?.["fusion"];
    };
    expect(await weightOf({})).toEqual({ method: "weighted", weight: 0.5 });
    expect(await weightOf({ query_encoder: "rescored" })).toMatchObject({ weight: 0.5 });
    expect(await weightOf({ query_encoder: "fast" })).toMatchObject({ weight: 0.55 });
    const own = { method: "weighted", weight: 0.5 };
    expect(await weightOf({ query_encoder: "fast", fusion: own })).toEqual(own);
  });

  test("has the scores of the full encoder once rescored", async () => {
    await using server = await withModel("all-MiniLM-L6-v2");
    const scores = async (query_encoder: string) => {
      const body = { query: "an engine burns", mode: "semantic", query_encoder };
      return readSearch(await server.call(SEARCH, body)).hits.map(({ id, score }) => [id, score]);
    };
    expect(await scores("rescored")).toEqual(await scores("full"));
    expect(await scores("fast")).not.toEqual(await scores("full"));
  });

  test("is embedded fast as it is typed, unless it is said otherwise", async () => {
    await using server = await withModel("all-MiniLM-L6-v2");
    const encoderOf = async (body: Record<string, unknown>) =>
      readSearch(await server.call(SEARCH, { query: "wet wea", explain: true, ...body })).explain?.[
        "query_encoder"
      ];
    expect(await encoderOf({})).toBe("full");
    expect(await encoderOf({ prefix: true })).toBe("fast");
    expect(await encoderOf({ prefix: true, query_encoder: "full" })).toBe("full");
  });
});

test("another model has no fast queries, and says so", async () => {
  await using server = await withModel("static-256");
  for (const query_encoder of ["fast", "rescored"]) {
    const answer = await server.call(SEARCH, { query: "rain", query_encoder });
    expectProblem(answer, 400, "invalid_request");
    expect(answer.json).toMatchObject({ errors: [{ field: "/query_encoder" }] });
  }
  expect((await server.call(SEARCH, { query: "rain", query_encoder: "full" })).status).toBe(200);
  const typed = await server.call(SEARCH, { query: "rai", prefix: true, explain: true });
  expect(readSearch(typed).explain).toMatchObject({ query_encoder: "full" });
});
