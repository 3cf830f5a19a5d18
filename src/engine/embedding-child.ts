import { Models } from "./models.ts";
import { serveParent } from "./serve-parent.ts";

export interface BatchRequest {
  id: number;
  model: string;
  texts: string[];
}

/** `vectors` holds null where the model finds nothing in a text. */
export type BatchAnswer =
  | { id: number; ok: true; vectors: (Float32Array | null)[] }
  | { id: number; ok: false; code: string; message: string };

/**
 * Answers batches from the parent over IPC until the parent goes. Native inference blocks and can crash: here it costs
 * neither the server's event loop nor its life.
 */
export function runEmbeddingChild(): Promise<never> {
  const models = new Models();
  return serveParent((request: BatchRequest) => answer(models, request));
}

async function answer(models: Models, { id, model, texts }: BatchRequest): Promise<BatchAnswer> {
  try {
    const embedder = await models.open(model);
    const vectors = await embedder.embed(texts);
    return { id, ok: true, vectors: vectors.map((vector) => vector ?? null) };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "internal";
    return { id, ok: false, code, message: error instanceof Error ? error.message : String(error) };
  }
}
