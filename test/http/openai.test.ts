import { describe, expect, test } from "bun:test";
import { EmbeddingsResponseSchema, ModelsResponseSchema } from "../../src/contract/embeddings.ts";
import { openEmbedder } from "../../src/embedding/open-embedder.ts";
import { limits } from "../../src/limits.ts";
import type { ProblemCode } from "../../src/problems.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { expectOpenAiError, read } from "./answers.ts";

const EMBED = "POST /v1/embeddings";
const MODEL = "static-256";

async function embed(server: TestServer, body: Record<string, unknown>) {
  return read(EmbeddingsResponseSchema, await server.call(EMBED, { model: MODEL, ...body }));
}

/** A vector of the answer, whichever way it was encoded. */
function floatsOf(embedding: number[] | string): Float32Array {
  if (typeof embedding !== "string") return new Float32Array(embedding);
  return new Float32Array(new Uint8Array(Buffer.from(embedding, "base64")).buffer);
}

describe("embeddings", () => {
  test("float and base64 are the embedder's own vector, to the last bit", async () => {
    await using server = await startServer();
    await using embedder = await openEmbedder(MODEL);
    const input = "The red flag stops the race.";
    const [own] = await embedder.embed([input]);
    const plain = await embed(server, { input });
    const float = await embed(server, { input, encoding_format: "float" });
    const base64 = await embed(server, { input, encoding_format: "base64" });
    expect(plain).toEqual(float);
    expect(typeof base64.data[0]?.embedding).toBe("string");
    for (const answer of [float, base64]) {
      expect(answer).toMatchObject({ object: "list", model: MODEL });
      expect(answer.data).toHaveLength(1);
      expect(floatsOf(answer.data[0]?.embedding ?? [])).toEqual(own ?? new Float32Array());
    }
    expect(plain.usage).toEqual({
      prompt_tokens: embedder.countTokens(input),
      total_tokens: embedder.countTokens(input),
    });
  });

  test("twenty inputs come back in order, each with its own vector", async () => {
    await using server = await startServer();
    await using embedder = await openEmbedder(MODEL);
    const input = Array.from(
      { length: 20 },
      (_, lap) => `Lap ${lap}: ${"the car pits. ".repeat(lap)}`,
    );
    const answer = await embed(server, { input });
    const own = await embedder.embed(input);
    expect(answer.data.map((one) => one.index)).toEqual(input.map((_, index) => index));
    for (const [index, { embedding }] of answer.data.entries()) {
      expect(floatsOf(embedding)).toEqual(own[index] ?? new Float32Array());
    }
    const tokens = input.reduce((sum, text) => sum + embedder.countTokens(text), 0);
    expect(answer.usage.prompt_tokens).toBe(tokens);
  });

  test("a search in a collection agrees with them", async () => {
    await using server = await startServer();
    await server.call("POST /api/v1/collections", { name: "rules" });
    const text = "The red flag stops the race.";
    const query = "session suspended";
    const path = "POST /api/v1/collections/rules/documents?wait=indexed";
    await server.call(path, { documents: [{ id: "a", text }] });
    const { data } = await embed(server, { input: [text, query] });
    const [a, b] = data.map((one) => floatsOf(one.embedding));
    const cosine = Array.from(a ?? []).reduce(
      (sum, one, index) => sum + one * (b?.[index] ?? 0),
      0,
    );
    const search = { query, mode: "semantic" };
    const found = await server.call("POST /api/v1/collections/rules/search", search);
    expect(found.json).toMatchObject({ hits: [{ score: expect.closeTo(cosine, 5) }] });
  });

  test("fields that only OpenAI knows are let through, dimensions must be the model's", async () => {
    await using server = await startServer();
    const more = { user: "u-1", dimensions: 256, some_new_option: true };
    expect((await embed(server, { input: "flag", ...more })).data).toHaveLength(1);
  });

  test("2,048 inputs are taken", async () => {
    await using server = await startServer();
    const input = Array.from({ length: limits.embeddingInputsMax }, (_, index) => `flag ${index}`);
    expect((await embed(server, { input, encoding_format: "base64" })).data).toHaveLength(2048);
  });
});

test("what is wrong is answered in OpenAI's shape", async () => {
  await using server = await startServer();
  const wrong: [body: unknown, status: number, code: ProblemCode][] = [
    [{ model: "text-embedding-3-small", input: "x" }, 400, "unknown_model"],
    [{ input: "x" }, 400, "invalid_request"],
    [{ model: MODEL }, 400, "invalid_request"],
    [{ model: MODEL, input: "" }, 400, "empty_text"],
    [{ model: MODEL, input: " \n" }, 400, "empty_text"],
    [{ model: MODEL, input: [] }, 400, "invalid_request"],
    [{ model: MODEL, input: ["x", ""] }, 400, "empty_text"],
    [{ model: MODEL, input: [1, 2, 3] }, 400, "invalid_request"],
    [{ model: MODEL, input: [["x"]] }, 400, "invalid_request"],
    [{ model: MODEL, input: null }, 400, "invalid_request"],
    [{ model: MODEL, input: "\ud800" }, 400, "invalid_text"],
    [{ model: MODEL, input: "x".repeat(limits.embeddingInputBytesMax + 1) }, 413, "too_large"],
    [{ model: MODEL, input: Array(2049).fill("x") }, 400, "invalid_request"],
    [{ model: MODEL, input: "x", encoding_format: "int8" }, 400, "invalid_request"],
    [{ model: MODEL, input: "x", dimensions: 128 }, 400, "dimensions_mismatch"],
    [{ model: MODEL, input: "x", dimensions: 0 }, 400, "invalid_request"],
    ["{", 400, "malformed_json"],
    ["[".repeat(100), 400, "too_deep"],
    [undefined, 400, "invalid_request"],
    [null, 400, "invalid_request"],
  ];
  for (const [body, status, code] of wrong) {
    expectOpenAiError(await server.call(EMBED, body), status, code);
  }
  const text = await server.call(EMBED, "x", { "content-type": "text/plain" });
  expectOpenAiError(text, 415, "unsupported_media_type");
  expectOpenAiError(await server.call("GET /v1/chat/completions"), 404, "not_found");
  const wrongMethod = await server.call("GET /v1/embeddings");
  expectOpenAiError(wrongMethod, 405, "method_not_allowed");
  expect(wrongMethod.headers.get("allow")).toBe("POST");
});

test("a text that the model knows no word of has no embedding", async () => {
  await using server = await startServer();
  await using embedder = await openEmbedder(MODEL);
  const input = "\u200b";
  const [own] = await embedder.embed([input]);
  const answer = await server.call(EMBED, { model: MODEL, input });
  if (own === undefined) expectOpenAiError(answer, 400, "empty_text");
  else expect(answer.status).toBe(200);
});

test("the models are those that are installed, the default one first", async () => {
  await using server = await startServer();
  const { object, data } = read(ModelsResponseSchema, await server.call("GET /v1/models"));
  expect(object).toBe("list");
  expect(data.map(({ id, dimensions, tokens_max }) => [id, dimensions, tokens_max])).toEqual([
    ["all-MiniLM-L6-v2", 384, 256],
    ["static-256", 256, 512],
  ]);
});
