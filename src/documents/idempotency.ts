import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { Store } from "../store/store.ts";

/**
 * Answers a repeated request with the first one's answer (draft-ietf-httpapi-idempotency-key-header-07). Keys live for
 * a day. Names for documents without an id come from the key, so that even a request cut off by a crash before its answer
 * was kept writes the same documents again and no others.
 */
export function createIdempotency(store: Store) {
  const running = new Set<string>();
  return {
    /** Checked form of the header. @throws Problem `invalid_request` */
    key(header: string, scope: string): string {
      if (
        header.length === 0 ||
        header.length > limits.idempotencyKeyBytesMax ||
        !/^[\x20-\x7e]+$/.test(header)
      ) {
        throw new Problem(
          "invalid_request",
          "Idempotency-Key must be 1 to 255 printable ASCII characters.",
        );
      }
      return `${scope}:${header}`;
    },
    /** The id of the document at one place of the request with this key. */
    documentId(key: string, index: number): string {
      return new Bun.CryptoHasher("sha256").update(`${key}\n${index}`).digest("hex").slice(0, 32);
    },
    /**
     * Runs `work` once per key. @throws Problem `idempotency_in_flight`; `idempotency_mismatch` where the key came with
     * another request before
     */
    async once<T>(key: string, request: string, work: () => Promise<T>): Promise<T> {
      const requestSha256 = new Bun.CryptoHasher("sha256").update(request).digest("hex");
      if (running.has(key)) {
        throw new Problem(
          "idempotency_in_flight",
          "The first request with this key has not ended.",
          { retryAfterMs: 1000 },
        );
      }
      running.add(key);
      try {
        const known = await store.answer(key);
        if (known === undefined) {
          const result = await work();
          await store.putAnswer(key, { requestSha256, answer: JSON.stringify(result) });
          return result;
        }
        if (known.requestSha256 !== requestSha256) {
          throw new Problem("idempotency_mismatch", "The key was first used with another request.");
        }
        return JSON.parse(known.answer);
      } finally {
        running.delete(key);
      }
    },
  };
}

export type Idempotency = ReturnType<typeof createIdempotency>;
