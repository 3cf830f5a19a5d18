import type { Embedder } from "../embedding/embedder.ts";
import {
  createEmbeddingCache,
  type EmbeddingCache,
  type EmbeddingCacheReport,
} from "../embedding/embedding-cache.ts";
import { openEmbedder } from "../embedding/open-embedder.ts";
import { getLogger } from "../telemetry/logs.ts";

const log = getLogger("engine");

/** The models of one process: each is loaded once, at its first use, however many ask at the same time. */
export class Models implements AsyncDisposable {
  readonly #recent = createEmbeddingCache();
  readonly #opened = new Map<string, Promise<Embedder>>();

  /** @throws Problem `unknown_model`, `model_damaged`, `native_missing`; a failed load is tried again next time */
  open(name: string): Promise<Embedder> {
    const known = this.#opened.get(name);
    if (known !== undefined) return known;
    const opening = load(name, this.#recent);
    this.#opened.set(name, opening);
    opening.catch(() => this.#opened.delete(name));
    return opening;
  }

  /** What is remembered of recent texts. */
  recent(): EmbeddingCacheReport {
    return this.#recent.report();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = await Promise.allSettled(this.#opened.values());
    this.#opened.clear();
    for (const one of all) if (one.status === "fulfilled") await one.value[Symbol.asyncDispose]();
  }
}

async function load(name: string, recent: EmbeddingCache): Promise<Embedder> {
  const start = performance.now();
  const embedder = await openEmbedder(name, recent);
  log.info("model.ready", { model: name, duration_ms: Math.round(performance.now() - start) });
  return embedder;
}
