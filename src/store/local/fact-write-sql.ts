import { limits } from "../../limits.ts";
import type { StoredAnswer } from "../store.ts";
import { ANSWER_LIFE_MS } from "./fact-read-sql.ts";
import type { Connection } from "./open-database.ts";

/** The SQL that writes the small things: epoch, last change number, answers by Idempotency-Key. */
export function factWriteSql({ keep }: Connection) {
  const setFact = keep<unknown, [string, string | number]>(
    "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)",
  );
  const putAnswer = keep<unknown, [string, string, string, number]>(
    "INSERT OR REPLACE INTO idempotency (key, request_sha256, answer, created_at_ms) VALUES (?, ?, ?, ?)",
  );
  const forgetOld = keep<unknown, [number]>("DELETE FROM idempotency WHERE created_at_ms <= ?");
  const forgetMost = keep<unknown, [number]>(
    "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency ORDER BY created_at_ms DESC LIMIT -1 OFFSET ?)",
  );
  return {
    /** Gives it back. */
    setEpoch(epoch: string): string {
      setFact.run("epoch", epoch);
      return epoch;
    },
    setSequence: (sequence: number): void => {
      setFact.run("sequence", sequence);
    },
    putAnswer(key: string, { requestSha256, answer: text }: StoredAnswer): void {
      const now = Date.now();
      putAnswer.run(key, requestSha256, text, now);
      forgetOld.run(now - ANSWER_LIFE_MS);
      forgetMost.run(limits.idempotencyKeysMax);
    },
  };
}

export type FactWriteSql = ReturnType<typeof factWriteSql>;
