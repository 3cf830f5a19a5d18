import { setImmediate as nextTurn } from "node:timers/promises";
import { Problem } from "../problems.ts";
import type { Embedder, ModelInfo } from "./embedder.ts";
import type { OnnxSession } from "./onnx-native.ts";
import type { ModelTokenizer } from "./tokenizer.ts";

/**
 * A transformer in onnxruntime. Each text is run alone: the int8 weights scale their activations over the whole batch, so in
 * a batch the same text would get another vector, down to a cosine of 0.98, for a quarter less time. Texts of all callers run
 * one after the other, and the event loop turns between them because a run blocks the thread. What this class adds to the
 * run of a query, tokens included, is less than 20 µs, hundredths of it (`bench/embedding.ts`).
 */
export class OnnxEmbedder implements Embedder {
  readonly info: ModelInfo;
  readonly #tokenizer: ModelTokenizer;
  readonly #session: OnnxSession;
  /** Ends when the text that was last in line has run. */
  #lastRun: Promise<unknown> = Promise.resolve();
  readonly #calls = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  /** Takes over the session: it is released with the embedder. */
  constructor(options: { info: ModelInfo; session: OnnxSession; tokenizer: ModelTokenizer }) {
    this.info = options.info;
    this.#session = options.session;
    this.#tokenizer = options.tokenizer;
  }

  countTokens = (text: string): number => this.#tokenizer.countTokens(text);

  /**
   * @throws Problem embedding_failed if the runtime fails or the embedder is closed
   */
  async embed(texts: readonly string[]): Promise<(Float32Array | undefined)[]> {
    if (this.#closed !== undefined) {
      throw new Problem("embedding_failed", `The model ${this.info.name} is closed.`);
    }
    const call = this.#embedInTurn(texts);
    this.#calls.add(call);
    try {
      return await call;
    } finally {
      this.#calls.delete(call);
    }
  }

  /** Refuses new calls, waits for those that are running and frees the native memory. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= Promise.allSettled(this.#calls).then(() => this.#session.release());
    return this.#closed;
  }

  /** One place in the line per text, so that a query waits for one passage of an ingest and not for all of them. */
  async #embedInTurn(texts: readonly string[]): Promise<(Float32Array | undefined)[]> {
    const vectors: (Float32Array | undefined)[] = [];
    for (const text of texts) {
      const run = this.#lastRun.then(() => this.#embedOne(text));
      this.#lastRun = run.catch(() => undefined);
      vectors.push(await run);
    }
    return vectors;
  }

  async #embedOne(text: string): Promise<Float32Array | undefined> {
    const { ids, known } = this.#tokenizer.encode(text);
    if (!known) {
      // A run begins with a turn of the event loop; what is not run leaves one too.
      await nextTurn();
      return undefined;
    }
    const vector = await this.#session.run(ids).catch((cause: unknown) => {
      throw new Problem("embedding_failed", `The model ${this.info.name} failed on a text.`, {
        cause,
      });
    });
    const squares = sumOfSquares(vector);
    if (vector.length !== this.info.dimensions || !Number.isFinite(squares)) {
      throw new Problem("embedding_failed", `The model ${this.info.name} gave no usable vector.`);
    }
    return squares > 0 ? vector : undefined;
  }
}

/** Not finite where a value is not; unit vectors are far from where finite values overflow. */
function sumOfSquares(vector: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < vector.length; index++) sum += (vector[index] ?? 0) ** 2;
  return sum;
}
