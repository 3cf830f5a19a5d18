import type { StoredAnswer } from "../store.ts";
import type { Connection } from "./open-database.ts";

/** An answer is given again for a day. */
export const ANSWER_LIFE_MS = 24 * 60 * 60 * 1000;

/** The SQL that reads the small things: epoch, last change number, answers by Idempotency-Key. */
export function factReadSql({ keep }: Connection) {
  const fact = keep<{ value: string | number }, [string]>("SELECT value FROM facts WHERE name = ?");
  const ping = keep("SELECT 1");
  // The first counts the commits of other connections, the second the changes of this one.
  const version = keep<{ version: string }, []>(
    "SELECT data_version || ':' || total_changes() AS version FROM pragma_data_version",
  );
  const answer = keep<StoredAnswer, [string, number]>(
    "SELECT request_sha256 AS requestSha256, answer FROM idempotency WHERE key = ? AND created_at_ms > ?",
  );
  return {
    /** Undefined in a database that no store has opened yet. */
    epoch: (): string | undefined => {
      const value = fact.get("epoch")?.value;
      return typeof value === "string" ? value : undefined;
    },
    version: (): string => version.get()?.version ?? "",
    sequence: (): number => Number(fact.get("sequence")?.value ?? 0),
    /** Milliseconds that it takes. */
    ping: (): number => {
      const start = performance.now();
      ping.get();
      return performance.now() - start;
    },
    answer: (key: string): StoredAnswer | undefined =>
      answer.get(key, Date.now() - ANSWER_LIFE_MS) ?? undefined,
  };
}
