import { Problem } from "../problems.ts";
import { getLogger } from "../telemetry/logs.ts";
import type { EmbedBatch } from "./passages.ts";

const log = getLogger("engine");

/** A text that every model can embed: if it fails too, the fault is not the other text's. */
const PROBE = "a";

export interface EmbedOptions {
  model: string;
  /** At most `limits.embeddingBatchMax`. */
  texts: readonly string[];
  /** Nothing more is tried then. */
  signal: AbortSignal;
}

/**
 * The vectors of texts, undefined for those in which the model finds nothing. A text that ends its process would hold all
 * others up for ever: so a batch that fails is tried text by text, once a probe has shown that the model works, and texts
 * that fail by themselves are given up, which the log tells. @throws what `embed` throws where the model itself fails;
 * Problem `busy`
 */
export async function embedOrGiveUp(
  embed: EmbedBatch,
  { model, texts, signal }: EmbedOptions,
): Promise<(Float32Array | undefined)[]> {
  try {
    return await embed(model, texts);
  } catch (error) {
    if (signal.aborted || isNotOfText(error)) throw error;
  }
  await embed(model, [PROBE]);
  const vectors: (Float32Array | undefined)[] = [];
  for (const text of texts) vectors.push(await embedAlone(embed, { model, text, signal }));
  return vectors;
}

async function embedAlone(
  embed: EmbedBatch,
  { model, text, signal }: Omit<EmbedOptions, "texts"> & { text: string },
): Promise<Float32Array | undefined> {
  try {
    return (await embed(model, [text]))[0];
  } catch (error) {
    if (signal.aborted || isNotOfText(error)) throw error;
    await embed(model, [PROBE]);
    log.error("embedding.given_up", { model, characters: text.length, error });
    return undefined;
  }
}

/** Too much waited: nobody has looked at the text. */
function isNotOfText(error: unknown): boolean {
  return error instanceof Problem && error.code === "busy";
}
