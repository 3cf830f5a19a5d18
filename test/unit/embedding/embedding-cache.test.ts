import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Embedder } from "../../../src/embedding/embedder.ts";
import { cached, createEmbeddingCache } from "../../../src/embedding/embedding-cache.ts";
import { openEmbedder } from "../../../src/embedding/open-embedder.ts";
import { Problem } from "../../../src/problems.ts";

const BYTES = 1024 * 1024;
/** What an entry of static-256 takes: its vector, the key (a hash, a space and the text) and the fixed part. */
const entryBytes = (text: string): number => 256 * 4 + (64 + 1 + text.length) * 2 + 200;

let embedder: Embedder;
beforeAll(async () => {
  embedder = await openEmbedder("static-256");
});
afterAll(() => embedder[Symbol.asyncDispose]());

/** A real embedder that notes what it is asked for, and answers when it is let go on. */
function watched(options: { waits?: boolean; fails?: (texts: readonly string[]) => boolean } = {}) {
  const asked: (readonly string[])[] = [];
  const goOn: (() => void)[] = [];
  let closed = 0;
  const watching: Embedder = {
    info: embedder.info,
    countTokens: embedder.countTokens,
    async embed(texts) {
      asked.push(texts);
      if (options.waits === true) {
        const { promise, resolve } = Promise.withResolvers<void>();
        goOn.push(resolve);
        await promise;
      }
      if (options.fails?.(texts) === true) throw new Problem("embedding_failed", "It failed.");
      return embedder.embed(texts);
    },
    async [Symbol.asyncDispose]() {
      closed++;
    },
  };
  return { watching, asked, goOn, closed: () => closed };
}

describe("a cached embedder", () => {
  test("embeds a text once and gives the same vector again", async () => {
    const { watching, asked } = watched();
    const cache = createEmbeddingCache(BYTES);
    const one = cached(watching, cache);
    const [first] = await one.embed(["river"]);
    const [second] = await one.embed(["river"]);
    expect(asked).toEqual([["river"]]);
    expect([first]).toEqual(await embedder.embed(["river"]));
    expect(second).toEqual(first);
    expect(cache.report()).toEqual({ hits: 1, misses: 1, texts: 1, bytes: entryBytes("river") });
  });

  test("embeds a text that comes twice in one call once, and keeps the order", async () => {
    const { watching, asked } = watched();
    const cache = createEmbeddingCache(BYTES);
    const texts = ["river", "bridge", "river", "🎉", "bridge"];
    expect(await cached(watching, cache).embed(texts)).toEqual(await embedder.embed(texts));
    expect(asked).toEqual([["river", "bridge", "🎉"]]);
    expect(cache.report()).toMatchObject({ hits: 2, misses: 3 });
  });

  test("asks only for what it does not know", async () => {
    const { watching, asked } = watched();
    const one = cached(watching, createEmbeddingCache(BYTES));
    await one.embed(["river"]);
    const texts = ["snow", "river", "bridge"];
    expect(await one.embed(texts)).toEqual(await embedder.embed(texts));
    expect(asked).toEqual([["river"], ["snow", "bridge"]]);
    expect(await one.embed([])).toEqual([]);
  });

  test("remembers that a text has no vector", async () => {
    const { watching, asked } = watched();
    const one = cached(watching, createEmbeddingCache(BYTES));
    expect(await one.embed(["🎉"])).toEqual([undefined]);
    expect(await one.embed(["🎉"])).toEqual([undefined]);
    expect(asked).toHaveLength(1);
  });

  test("whoever changes the vector that they got changes no other", async () => {
    const one = cached(embedder, createEmbeddingCache(BYTES));
    const [expected] = await embedder.embed(["river"]);
    const [first, twin] = await one.embed(["river", "river"]);
    first?.fill(0);
    expect(twin).toEqual(expected);
    const [second] = await one.embed(["river"]);
    expect(second).toEqual(expected);
    second?.fill(0);
    expect(await one.embed(["river"])).toEqual([expected]);
  });

  test("waits for a text that is being embedded for somebody else", async () => {
    const { watching, asked, goOn } = watched({ waits: true });
    const cache = createEmbeddingCache(BYTES);
    const one = cached(watching, cache);
    const first = one.embed(["river", "snow"]);
    const second = one.embed(["snow"]);
    expect(asked).toEqual([["river", "snow"]]);
    for (const go of goOn) go();
    expect(await first).toEqual(await embedder.embed(["river", "snow"]));
    expect(await second).toEqual(await embedder.embed(["snow"]));
    expect(asked).toHaveLength(1);
    expect(cache.report()).toMatchObject({ hits: 1, misses: 2 });
  });

  test("a failure reaches who asked and is not remembered", async () => {
    const failing = { now: true };
    const { watching, asked } = watched({ fails: () => failing.now });
    const cache = createEmbeddingCache(BYTES);
    const one = cached(watching, cache);
    const error = await one.embed(["river", "snow"]).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "embedding_failed" });
    expect(cache.report()).toMatchObject({ texts: 0, bytes: 0 });
    failing.now = false;
    expect(await one.embed(["river"])).toEqual(await embedder.embed(["river"]));
    expect(asked).toHaveLength(2);
  });

  test("a text does not fail for the failure of another in somebody else's call", async () => {
    const { watching, asked, goOn } = watched({
      waits: true,
      fails: (texts) => texts.includes("poison"),
    });
    const one = cached(watching, createEmbeddingCache(BYTES));
    const first = one.embed(["river", "poison"]).catch((error: unknown) => error);
    const second = one.embed(["river"]);
    goOn[0]?.();
    expect(await first).toMatchObject({ code: "embedding_failed" });
    // The second call is begun once the first has failed.
    while (goOn.length < 2) await Promise.resolve();
    goOn[1]?.();
    expect(await second).toEqual(await embedder.embed(["river"]));
    expect(asked).toEqual([["river", "poison"], ["river"]]);
  });

  test("keeps the models apart", async () => {
    const cache = createEmbeddingCache(BYTES);
    const other: Embedder = {
      ...watched().watching,
      info: { ...embedder.info, sha256: "0".repeat(64) },
      embed: async (texts) => texts.map(() => new Float32Array([1])),
    };
    const [ours] = await cached(embedder, cache).embed(["river"]);
    expect(await cached(other, cache).embed(["river"])).toEqual([new Float32Array([1])]);
    expect(await cached(embedder, cache).embed(["river"])).toEqual([ours]);
  });

  test("is its embedder in everything else, and closes it", async () => {
    const { watching, closed } = watched();
    const one = cached(watching, createEmbeddingCache(BYTES));
    expect(one.info).toBe(embedder.info);
    expect(one.countTokens("how do I reset my password")).toBe(6);
    await one[Symbol.asyncDispose]();
    expect(closed()).toBe(1);
  });
});

describe("a cache that is full", () => {
  test("forgets the text that was not asked for the longest", async () => {
    const { watching, asked } = watched();
    const cache = createEmbeddingCache(3 * entryBytes("a"));
    const one = cached(watching, cache);
    await one.embed(["a", "b", "c"]);
    await one.embed(["a"]);
    await one.embed(["d"]);
    expect(cache.report()).toMatchObject({ texts: 3, bytes: 3 * entryBytes("a") });
    await one.embed(["a", "c", "d"]);
    expect(asked).toEqual([["a", "b", "c"], ["d"]]);
    await one.embed(["b"]);
    expect(asked.at(-1)).toEqual(["b"]);
  });

  test("answers a call that does not fit, and never holds more than its bytes", async () => {
    const cache = createEmbeddingCache(2 * entryBytes("a"));
    const texts = Array.from({ length: 50 }, (_, index) => String.fromCharCode(97 + (index % 26)));
    expect(await cached(embedder, cache).embed(texts)).toEqual(await embedder.embed(texts));
    expect(cache.report()).toMatchObject({ misses: 26, hits: 24, texts: 2 });
  });

  test("does not keep a text that would fill it alone", async () => {
    const cache = createEmbeddingCache(2 * entryBytes("a"));
    const one = cached(embedder, cache);
    await one.embed(["a"]);
    await one.embed(["river ".repeat(1000)]);
    expect(cache.report()).toMatchObject({ texts: 1, bytes: entryBytes("a") });
  });
});
