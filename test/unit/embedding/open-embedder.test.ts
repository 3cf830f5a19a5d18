import { afterAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEmbeddingCache } from "../../../src/embedding/embedding-cache.ts";
import {
  builtInModels,
  readModelFile,
  type ModelFiles,
} from "../../../src/embedding/model-files.ts";
import {
  listModels,
  modelInfo,
  openEmbedder,
  openModel,
  verifyModels,
} from "../../../src/embedding/open-embedder.ts";
import { Problem } from "../../../src/problems.ts";

const folder = await mkdtemp(join(tmpdir(), "slipstream-models-"));
afterAll(() => rm(folder, { recursive: true }));

/** The model with a copy of one of its files, changed. */
async function withCopy(
  model: ModelFiles,
  role: "weights" | "tokenizer",
  change: (bytes: Uint8Array) => Uint8Array,
): Promise<ModelFiles> {
  const path = join(folder, Bun.randomUUIDv7());
  await Bun.write(path, change(await readModelFile(model[role])));
  return { ...model, [role]: { ...model[role], path } };
}

/** The problem a promise fails with. */
async function failure(promise: Promise<unknown>): Promise<Problem> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Problem)) throw new Error("no problem was thrown", { cause: error });
  return error;
}

const flipMiddleBit = (bytes: Uint8Array): Uint8Array => {
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  return bytes;
};

describe.each([...builtInModels])("$info.name", (model) => {
  describe.each(["weights", "tokenizer"] as const)("%s", (role) => {
    const { name: file } = model[role];

    test("one flipped bit is refused before anything is parsed", async () => {
      const damaged = await withCopy(model, role, flipMiddleBit);
      const problem = await failure(openModel(damaged));
      expect(problem.code).toBe("model_damaged");
      expect(problem.detail).toStartWith(
        `The file ${file} of the model ${model.info.name} has the sha256 `,
      );
    });

    test("a file that was cut short is refused with both sizes", async () => {
      const damaged = await withCopy(model, role, (bytes) => bytes.subarray(0, 1000));
      expect(await failure(openModel(damaged))).toMatchObject({
        code: "model_damaged",
        detail: `The file ${file} of the model ${model.info.name} has 1000 bytes instead of ${model[role].bytes}.`,
      });
    });

    test("a missing file is refused", async () => {
      const missing = { ...model, [role]: { ...model[role], path: join(folder, "none") } };
      expect(await failure(openModel(missing))).toMatchObject({
        code: "model_damaged",
        detail: `The file ${file} of the model ${model.info.name} is missing or cannot be read.`,
      });
    });
  });
});

describe("openEmbedder", () => {
  test("opens each model that is listed, with the facts that are listed", async () => {
    for (const info of listModels()) {
      await using embedder = await openEmbedder(info.name);
      expect(embedder.info).toEqual(info);
      expect(embedder.countTokens("how do I reset my password")).toBe(6);
      expect((await embedder.embed(["river"]))[0]).toHaveLength(info.dimensions);
    }
  });

  test("answers recent texts from a cache where that is worth it: of the transformer, not of the table", async () => {
    const cache = createEmbeddingCache(1_000_000);
    await using transformer = await openEmbedder("all-MiniLM-L6-v2", cache);
    const first = await transformer.embed(["river"]);
    expect(await transformer.embed(["river"])).toEqual(first);
    expect(cache.report()).toMatchObject({ hits: 1, misses: 1, texts: 1 });
    await using table = await openEmbedder("static-256", cache);
    await table.embed(["river"]);
    expect(cache.report()).toMatchObject({ hits: 1, misses: 1, texts: 1 });
  });

  test("says which models there are when asked for another, and does not repeat what it was asked for", async () => {
    const problem = {
      code: "unknown_model",
      detail: "There is no such model; installed are: all-MiniLM-L6-v2, static-256.",
    };
    expect(await failure(openEmbedder("gpt-9"))).toMatchObject(problem);
    expect(() => modelInfo("__proto__")).toThrow(expect.objectContaining(problem));
  });
});

test("modelInfo tells a model's facts without loading it", () => {
  expect(modelInfo("static-256")).toEqual({
    name: "static-256",
    dimensions: 256,
    tokensMax: 512,
    hybridWeight: 0.3,
    sha256: "48e09e96e9203d691dab07bfa56aff31f637e8b99ab431e0f1fe6e0d5694056b",
    licence: "Apache-2.0",
  });
});

describe("verifyModels", () => {
  test("finds every installed file whole", async () => {
    const checks = await verifyModels();
    expect(checks).toEqual([
      { name: "all-MiniLM-L6-v2", file: "all-MiniLM-L6-v2/model.onnx", ok: true },
      { name: "all-MiniLM-L6-v2", file: "all-MiniLM-L6-v2/tokenizer.json", ok: true },
      { name: "static-256", file: "static-256/model.onnx", ok: true },
      { name: "static-256", file: "static-256/tokenizer.json", ok: true },
      { name: "minilm-query-fast", file: "minilm-query-fast/query.slq", ok: true },
    ]);
  });

  test("names the damaged file and goes on with the others", async () => {
    const models = [...builtInModels];
    const [first, ...rest] = models;
    if (first === undefined) throw new Error("there is a built-in model");
    const checks = await verifyModels([await withCopy(first, "tokenizer", flipMiddleBit), ...rest]);
    expect(checks.map(({ ok }) => ok)).toEqual([true, false, true, true]);
    expect(checks[1]).toMatchObject({ message: expect.stringContaining(first.tokenizer.name) });
  });
});
