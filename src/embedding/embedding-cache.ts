import { limits } from "../limits.ts";
import type { Embedder } from "./embedder.ts";

/** How much a cache holds, and how often it had what was asked for. */
export interface EmbeddingCacheReport {
  /** Texts that were answered without embedding them: known, twice in one call, or being embedded for somebody else. */
  hits: number;
  /** Texts that had to be embedded. */
  misses: number;
  texts: number;
  bytes: number;
}

/** Vectors of recent texts, by model and text. */
export interface EmbeddingCache {
  /**
   * As `Embedder.embed`, with the same vectors. The embedder gets each text once that is neither known nor being embedded;
   * texts that wait for another caller's embedder are tried by their own if that fails.
   * @throws whatever the embedder throws
   */
  embed(embedder: Embedder, texts: readonly string[]): Promise<(Float32Array | undefined)[]>;
  report(): EmbeddingCacheReport;
}

/** Undefined where the model finds nothing in the text. */
type Vector = Float32Array | undefined;

interface RecentVectors {
  /** The cache's own vector, not to be changed; wrapped, because a known text may have none. Makes the text the most recent. */
  find(key: string): { vector: Vector } | undefined;
  /** Takes a vector over, and forgets the texts that were not asked for the longest until all fit. */
  keep(key: string, vector: Vector): void;
  size(): { texts: number; bytes: number };
}

/** What an entry takes beside its vector and its text, roughly: a place in the map, two objects and a string's header. */
const ENTRY_BYTES = 200;
const CHAR_BYTES = 2;

/** An embedder that answers from the cache what the cache has. It takes over the embedder. */
export function cached(embedder: Embedder, cache: EmbeddingCache): Embedder {
  return {
    info: embedder.info,
    countTokens: embedder.countTokens,
    embed: (texts) => cache.embed(embedder, texts),
    [Symbol.asyncDispose]: () => embedder[Symbol.asyncDispose](),
  };
}

/**
 * A cache of at most `bytesMax` bytes, for all models of a process. A hit takes some 2 µs. Everybody gets a copy, so that
 * nobody can change what others get: a typed array cannot be frozen, and a copy of 384 dimensions takes 0.2 µs.
 */
export function createEmbeddingCache(
  bytesMax: number = limits.embeddingCacheBytesMax,
): EmbeddingCache {
  const recent = createRecentVectors(bytesMax);
  const underway = new Map<string, Promise<Vector>>();
  const counters = { hits: 0, misses: 0 };

  const begin = (embedder: Embedder, missing: ReadonlyMap<string, string>): void => {
    const call = embedder.embed([...missing.values()]);
    for (const [index, key] of [...missing.keys()].entries()) {
      const own = call.then((vectors) => {
        recent.keep(key, vectors[index]);
        return vectors[index];
      });
      underway.set(
        key,
        own.finally(() => underway.delete(key)),
      );
    }
  };

  const embed: EmbeddingCache["embed"] = async (embedder, texts) => {
    const keys = texts.map((text) => `${embedder.info.sha256} ${text}`);
    const found = keys.map((key) => recent.find(key));
    const missing = new Map<string, string>();
    for (const [index, key] of keys.entries()) {
      if (found[index] === undefined && !underway.has(key)) missing.set(key, texts[index] ?? "");
    }
    counters.hits += texts.length - missing.size;
    counters.misses += missing.size;
    if (missing.size > 0) begin(embedder, missing);
    const answer = async (key: string, index: number): Promise<Vector> => {
      const known = found[index];
      if (known !== undefined) return known.vector?.slice();
      const own = missing.has(key);
      // The failure of another caller's embedder may be that of another text.
      const again = async (): Promise<Vector> => (await embed(embedder, [texts[index] ?? ""]))[0];
      const vector = await (own ? underway.get(key) : underway.get(key)?.catch(again));
      return vector?.slice();
    };
    return Promise.all(keys.map(answer));
  };

  return { embed, report: () => ({ ...counters, ...recent.size() }) };
}

/** Method: least recently used first, in the order that a Map keeps. */
function createRecentVectors(bytesMax: number): RecentVectors {
  const entries = new Map<string, { vector: Vector; bytes: number }>();
  let bytes = 0;
  const forget = (key: string): void => {
    bytes -= entries.get(key)?.bytes ?? 0;
    entries.delete(key);
  };
  return {
    find(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry;
    },
    keep(key, vector) {
      forget(key);
      const entryBytes = ENTRY_BYTES + key.length * CHAR_BYTES + (vector?.byteLength ?? 0);
      if (entryBytes > bytesMax) return;
      entries.set(key, { vector, bytes: entryBytes });
      bytes += entryBytes;
      for (const oldest of entries.keys()) {
        if (bytes <= bytesMax) break;
        forget(oldest);
      }
    },
    size: () => ({ texts: entries.size, bytes }),
  };
}
