import { limits } from "../../limits.ts";
import type { StoredAnswer } from "../store.ts";
import type { Connection } from "./open-database.ts";

const ANSWER_LIFE_MS = 24 * 60 * 60 * 1000;

/** The SQL of the small things: epoch, last change number, answers by Idempotency-Key. */
export function factSql({ keep }: Connection) {
  const fact = keep<{ value: string | number }, [string]>("SELECT value FROM facts WHERE name = ?");
  const setFact = keep<unknown, [string, string | number]>(
    "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)",
  );
  const ping = keep("SELECT 1");
  const answer = keep<StoredAnswer, [string, number]>(
    "SELECT request_sha256 AS requestSha256, answer FROM idempotency WHERE key = ? AND created_at_ms > ?",
  );
  const putAnswer = keep<unknown, [string, string, string, number]>(
    "INSERT OR REPLACE INTO idempotency (key, request_sha256, answer, created_at_ms) VALUES (?, ?, ?, ?)",
  );
  const forgetOld = keep<unknown, [number]>("DELETE FROM idempotency WHERE created_at_ms <= ?");
  const forgetMost = keep<unknown, [number]>(
    "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency ORDER BY created_at_ms DESC LIMIT -1 OFFSET ?)",
  );
  return {
    epoch(): string {
      const known = fact.get("epoch")?.value;
      if (typeof known === "string") return known;
      const fresh = crypto.randomUUID();
      setFact.run("epoch", fresh);
      return fresh;
    },
    sequence: (): number => Number(fact.get("sequence")?.value ?? 0),
    setSequence: (sequence: number): void => {
      setFact.run("sequence", sequence);
    },
    ping: (): void => {
      ping.get();
    },
    answer: (key: string): StoredAnswer | undefined =>
      answer.get(key, Date.now() - ANSWER_LIFE_MS) ?? undefined,
    putAnswer(key: string, { requestSha256, answer: text }: StoredAnswer): void {
      const now = Date.now();
      putAnswer.run(key, requestSha256, text, now);
      forgetOld.run(now - ANSWER_LIFE_MS);
      forgetMost.run(limits.idempotencyKeysMax);
    },
  };
}
