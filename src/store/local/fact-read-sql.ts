import { Database } from "bun:sqlite";
import type { StoredAnswer } from "../store.ts";
import type { Connection } from "./open-database.ts";

/** An answer is given again for a day. */
export const ANSWER_LIFE_MS = 24 * 60 * 60 * 1000;

/** An answer of the file is believed so long: it takes a sixth of a millisecond. */
const READ_ANEW_MS = 1000;

/** The SQL that reads the small things: epoch, last change number, answers by Idempotency-Key. */
export function factReadSql({ db, keep }: Connection) {
  const fact = keep<{ value: string | number }, [string]>("SELECT value FROM facts WHERE name = ?");
  const ping = keep("SELECT 1");
  let readAnewAtMs = -Infinity;
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
    /**
     * Milliseconds that a `SELECT 1` takes. Once a second at most it is one that reads the file: this connection has its
     * pages in memory, and would answer for long while they lie broken on the disk.
     */
    ping: (): number => {
      const start = performance.now();
      ping.get();
      if (start - readAnewAtMs > READ_ANEW_MS) {
        readAnew(db.filename);
        readAnewAtMs = start;
      }
      return performance.now() - start;
    },
    answer: (key: string): StoredAnswer | undefined =>
      answer.get(key, Date.now() - ANSWER_LIFE_MS) ?? undefined,
  };
}

/** Opens the file as a start would. @throws SQLiteError where it is broken or gone */
function readAnew(path: string): void {
  const db = new Database(path, { readonly: true });
  try {
    using first = db.query("SELECT 1 FROM sqlite_schema LIMIT 1");
    first.get();
  } finally {
    db.close(true);
  }
}
