import { limits } from "../limits.ts";

/** Texts into unit vectors by a model; undefined where the model knows nothing of a text. */
export type EmbedTexts = (
  model: string,
  texts: readonly string[],
) => Promise<(Float32Array | undefined)[]>;

interface Waiting {
  text: string;
  resolve: (vector: Float32Array | undefined) => void;
  reject: (reason: unknown) => void;
}

/**
 * One text at a time for who asks, batches for the model: a thousand clients that come back with a query each are some
 * sixty calls, one after the other.
 */
export function createEmbedQueue(
  embed: EmbedTexts,
): (model: string, text: string) => Promise<Float32Array | undefined> {
  const queues = new Map<string, Waiting[]>();
  const run = async (model: string, queue: Waiting[]): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue.splice(0, limits.embeddingBatchMax);
      try {
        const vectors = await embed(
          model,
          batch.map(({ text }) => text),
        );
        for (const [index, { resolve }] of batch.entries()) resolve(vectors[index]);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    queues.delete(model);
  };
  return (model, text) => {
    const { promise, resolve, reject } = Promise.withResolvers<Float32Array | undefined>();
    const waiting = { text, resolve, reject };
    const queue = queues.get(model);
    if (queue !== undefined) {
      queue.push(waiting);
      return promise;
    }
    const fresh = [waiting];
    queues.set(model, fresh);
    // What else is asked for in this turn goes along.
    queueMicrotask(() => void run(model, fresh));
    return promise;
  };
}
