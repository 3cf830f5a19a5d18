import miniLmTokenizer from "../../models/all-MiniLM-L6-v2/tokenizer.json" with { type: "file" };
import miniLmWeights from "../../models/all-MiniLM-L6-v2/model.onnx" with { type: "file" };
import manifest from "../../models/manifest.json" with { type: "json" };
import queryEncoderPath from "../../models/minilm-query-fast/query.slq" with { type: "file" };
import staticTokenizer from "../../models/static-256/tokenizer.json" with { type: "file" };
import staticWeights from "../../models/static-256/model.onnx" with { type: "file" };
import { assert, Problem } from "../problems.ts";
import type { ModelInfo } from "./embedder.ts";

/** One file of a model: where it is and what it must be. */
export interface ModelFile {
  /** Name of the model. */
  model: string;
  /** Name of the file as the manifest writes it; the one that messages show. */
  name: string;
  /** Where to read it. In the compiled binary this is a path inside the binary. */
  path: string;
  sha256: string;
  bytes: number;
}

/** A model and its files. */
export interface ModelFiles {
  info: ModelInfo;
  /** `onnx` runs in onnxruntime; `static` adds up rows of a table in TypeScript. */
  encoder: "onnx" | "static";
  weights: ModelFile;
  tokenizer: ModelFile;
}

/** The imports that put the files into the binary, by model. TypeScript sees a `.json` import as its content, so they are `unknown`. */
const ASSETS: ReadonlyMap<
  string,
  { encoder: ModelFiles["encoder"]; weights: unknown; tokenizer: unknown }
> = new Map([
  [
    "all-MiniLM-L6-v2",
    { encoder: "onnx", weights: miniLmWeights, tokenizer: miniLmTokenizer } as const,
  ],
  [
    "static-256",
    { encoder: "static", weights: staticWeights, tokenizer: staticTokenizer } as const,
  ],
]);

/** The models that come with the program, the default one first. Nothing is read for this list. */
export const builtInModels: readonly ModelFiles[] = manifest.models.map((entry) => {
  const assets = ASSETS.get(entry.name);
  assert(assets !== undefined, `the model ${entry.name} of the manifest has its imports`);
  const { files, ...facts } = entry;
  return {
    info: { ...facts, sha256: files.weights.sha256 },
    encoder: assets.encoder,
    weights: placeFile(entry.name, { ...files.weights, imported: assets.weights }),
    tokenizer: placeFile(entry.name, { ...files.tokenizer, imported: assets.tokenizer }),
  };
});

const [queryEncoder] = manifest.query_encoders;
assert(queryEncoder !== undefined, "the manifest has a query encoder");

/** The small query encoder; its vectors lie in the space of `queryEncoderModel`. Nothing is read for this. */
export const queryEncoderFile: ModelFile = placeFile(queryEncoder.name, {
  ...queryEncoder.file,
  imported: queryEncoderPath,
});

/** The model that embeds the documents which the query encoder's vectors are compared with. */
export const queryEncoderModel: ModelFiles = findEncodedModel(queryEncoder.for);

/**
 * The content of a model file, compared with its size and hash before anybody parses it: a flipped bit in weights loads
 * without an error and only makes the vectors wrong. About 25 ms for 23 MB. The caller owns the bytes.
 * @throws Problem model_damaged, naming the file and the model
 */
export async function readModelFile(file: ModelFile): Promise<Uint8Array<ArrayBuffer>> {
  const about = `The file ${file.name} of the model ${file.model}`;
  const bytes = await Bun.file(file.path)
    .bytes()
    .catch((cause: unknown) => {
      throw new Problem("model_damaged", `${about} is missing or cannot be read.`, { cause });
    });
  if (bytes.length !== file.bytes) {
    throw new Problem(
      "model_damaged",
      `${about} has ${bytes.length} bytes instead of ${file.bytes}.`,
    );
  }
  const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  if (sha256 !== file.sha256) {
    throw new Problem(
      "model_damaged",
      `${about} has the sha256 ${sha256} instead of ${file.sha256}.`,
    );
  }
  return bytes;
}

function placeFile(
  model: string,
  entry: { path: string; sha256: string; bytes: number; imported: unknown },
): ModelFile {
  const { path: name, imported, sha256, bytes } = entry;
  assert(typeof imported === "string", `the import of ${name} is a path`);
  return { model, name, path: imported, sha256, bytes };
}

function findEncodedModel(name: string): ModelFiles {
  const model = builtInModels.find(({ info }) => info.name === name);
  assert(model !== undefined, `the model ${name} of the query encoder is built in`);
  return model;
}
