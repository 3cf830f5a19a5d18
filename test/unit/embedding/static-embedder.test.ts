import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Embedder } from "../../../src/embedding/embedder.ts";
import { builtInModels, readModelFile } from "../../../src/embedding/model-files.ts";
import { loadOnnxRuntime } from "../../../src/embedding/native/onnxruntime.ts";
import { openEmbedder } from "../../../src/embedding/open-embedder.ts";
import { StaticEmbedder } from "../../../src/embedding/static-embedder.ts";
import { createTokenizer } from "../../../src/embedding/tokenizer.ts";
import golden from "../../fixtures/minilm-parity.json" with { type: "json" };
import { cosine } from "./vectors.ts";

describe("static-256", () => {
  let embedder: Embedder;
  beforeAll(async () => {
    embedder = await openEmbedder("static-256");
  });
  afterAll(async () => {
    await embedder[Symbol.asyncDispose]();
  });

  test("gives the vectors that onnxruntime computes from the same file", async () => {
    const { InferenceSession, Tensor } = await loadOnnxRuntime();
    const model = builtInModels.find(({ info }) => info.name === "static-256");
    if (model === undefined) throw new Error("static-256 is built in");
    const session = await InferenceSession.create(await readModelFile(model.weights));
    const tokenizer = createTokenizer(await readModelFile(model.tokenizer), 512);
    const texts = [...golden.map(({ text }) => text), "a river runs under the bridge ".repeat(200)];
    const vectors = await embedder.embed(texts);
    for (const [index, text] of texts.entries()) {
      const { ids } = tokenizer.encode(text);
      const shape = [1, ids.length];
      const { sentence_embedding } = await session.run({
        input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), shape),
        attention_mask: new Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
      });
      const expected = Float32Array.from({ length: 256 }, (_, at) =>
        Number(sentence_embedding?.data[at]),
      );
      const vector = vectors[index];
      expect(vector).toHaveLength(256);
      expect(cosine(vector ?? [], expected)).toBeGreaterThanOrEqual(0.9999);
      expect(Math.hypot(...(vector ?? []))).toBeCloseTo(1, 5);
    }
    await session.release();
  });

  test("a text without a known token has no vector, and its neighbours have theirs", async () => {
    const vectors = await embedder.embed(["", "river", " \n", "🎉", "\ud800", "bridge"]);
    expect(vectors.map((vector) => vector?.length)).toEqual([
      undefined,
      256,
      undefined,
      undefined,
      undefined,
      256,
    ]);
  });

  test("a vector belongs to the caller: changing it changes no later one", async () => {
    const [first] = await embedder.embed(["river"]);
    const before = first?.slice();
    first?.fill(0);
    expect(await embedder.embed(["river"])).toEqual([before]);
  });

  test("lets the event loop run during a long call", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await embedder.embed(Array.from({ length: 400 }, () => "the river rose ".repeat(100)));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(2);
  });

  test("refuses to embed once it is disposed of", async () => {
    const closing = await openEmbedder("static-256");
    await closing[Symbol.asyncDispose]();
    await closing[Symbol.asyncDispose]();
    expect(await closing.embed(["river"]).catch((error: unknown) => error)).toMatchObject({
      code: "embedding_failed",
    });
  });

  test("refuses weights that are a protobuf but not its table", () => {
    const { info } = embedder;
    const tokenizer = {
      encode: () => ({ ids: [], truncated: false, known: false }),
      firstTokens: () => ({ ids: [], truncated: false }),
      countTokens: () => 0,
    };
    expect(() => new StaticEmbedder({ info, weights: new Uint8Array(), tokenizer })).toThrow(
      "are not a table of 256 dimensions",
    );
  });
});
