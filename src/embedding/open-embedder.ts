import { Problem } from "../problems.ts";
import type { Embedder, ModelInfo } from "./embedder.ts";
import { cached, type EmbeddingCache } from "./embedding-cache.ts";
import {
  builtInModels,
  queryEncoderFile,
  readModelFile,
  type ModelFile,
  type ModelFiles,
} from "./model-files.ts";
import { OnnxEmbedder } from "./onnx-embedder.ts";
import { openOnnxSession } from "./onnx-native.ts";
import { StaticEmbedder } from "./static-embedder.ts";
import { createTokenizer } from "./tokenizer.ts";

/** Whether one file of a model is what the manifest says. */
export type ModelFileCheck =
  | { name: string; file: string; ok: true }
  | { name: string; file: string; ok: false; message: string };

/**
 * Opens an installed model: reads and verifies its files, then loads them (static-256 about 50 ms, all-MiniLM-L6-v2 100 to 250).
 * The caller disposes of it.
 * @param cache answers recent texts of models for which that is worth its memory: of static-256 a query takes 12 µs, of
 * all-MiniLM-L6-v2 milliseconds, and a hit 2 µs
 * @throws Problem unknown_model, model_damaged, native_missing
 */
export async function openEmbedder(name: string, cache?: EmbeddingCache): Promise<Embedder> {
  const model = findModel(name);
  const embedder = await openModel(model);
  return cache === undefined || model.encoder === "static" ? embedder : cached(embedder, cache);
}

/**
 * Opens a model whose files lie elsewhere.
 * @throws Problem model_damaged, native_missing
 */
export async function openModel(model: ModelFiles): Promise<Embedder> {
  const { info } = model;
  // Both are verified before either is parsed.
  const weights = await readModelFile(model.weights);
  const tokenizerJson = await readModelFile(model.tokenizer);
  const tokenizer = createTokenizer(tokenizerJson, info.tokensMax);
  return model.encoder === "static"
    ? new StaticEmbedder({ info, weights, tokenizer })
    : new OnnxEmbedder({ info, session: await openOnnxSession(weights), tokenizer });
}

/** The installed models, the default one first. */
export function listModels(): ModelInfo[] {
  return builtInModels.map((model) => model.info);
}

/**
 * What is known of an installed model, without loading it.
 * @throws Problem unknown_model
 */
export function modelInfo(name: string): ModelInfo {
  return findModel(name).info;
}

/** Compares every file of the given models (all installed ones) with the manifest; each is read whole. */
export async function verifyModels(
  models: readonly ModelFiles[] = builtInModels,
): Promise<ModelFileCheck[]> {
  const checks: ModelFileCheck[] = [];
  for (const { weights, tokenizer } of models) {
    checks.push(await verifyFile(weights), await verifyFile(tokenizer));
  }
  if (models === builtInModels) checks.push(await verifyFile(queryEncoderFile));
  return checks;
}

async function verifyFile(file: ModelFile): Promise<ModelFileCheck> {
  const named = { name: file.model, file: file.name };
  try {
    await readModelFile(file);
    return { ...named, ok: true };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { ...named, ok: false, message: error.detail };
  }
}

function findModel(name: string): ModelFiles {
  const model = builtInModels.find(({ info }) => info.name === name);
  if (model !== undefined) return model;
  const names = builtInModels.map(({ info }) => info.name).join(", ");
  throw new Problem("unknown_model", `There is no such model; installed are: ${names}.`);
}
