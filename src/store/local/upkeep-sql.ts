import type { Connection } from "./open-database.ts";

/** Pages given back in one step: some 2 ms. */
const vacuumPages = 500;

/** Free pages that are left for the next writes. */
const freeShareKept = 0.1;

/** The SQL that looks after the file itself. */
export function upkeepSql({ db, keep }: Connection) {
  const number = (pragma: string) => {
    const statement = keep<Record<string, number>, []>(`PRAGMA ${pragma}`);
    return (): number => Object.values(statement.get() ?? {})[0] ?? 0;
  };
  const pageCount = number("page_count");
  const freePages = number("freelist_count");
  const pageSize = number("page_size");
  const counters = keep<{ name: string; counted: string }, []>(
    `SELECT name, 'documents' AS counted FROM collections c WHERE name IS NOT NULL
       AND documents <> (SELECT count(*) FROM documents WHERE collection_key = c.key)
     UNION ALL
     SELECT name, 'chunks' FROM collections c WHERE name IS NOT NULL
       AND chunks <> (SELECT count(*) FROM chunks WHERE collection_key = c.key)
     UNION ALL
     SELECT name, 'vectors' FROM collections c WHERE name IS NOT NULL
       AND (SELECT count(*) FROM chunks WHERE collection_key = c.key AND state = 1)
        <> (SELECT count(*) FROM chunks k JOIN vectors v ON v.chunk_key = k.key WHERE k.collection_key = c.key)`,
  );
  return {
    /** What is wrong with the file or with what it holds, in sentences. Reads all of it. */
    check(): string[] {
      using quick = db.prepare<{ quick_check: string }, []>("PRAGMA quick_check(20)");
      using foreign = db.prepare<{ table: string; rowid: number }, []>("PRAGMA foreign_key_check");
      const damage = quick
        .all()
        .flatMap((row) => (row.quick_check === "ok" ? [] : row.quick_check));
      // What is asked further reads the same pages, and would fail there without a word of where.
      if (damage.length > 0) return damage;
      return [
        ...foreign
          .all()
          .slice(0, 20)
          .map((row) => `${row.table} ${row.rowid} points to nothing`),
        ...counters.all().map((row) => `${row.name} counts its ${row.counted} wrong`),
      ];
    },
    diskBytes: (): number => pageCount() * pageSize(),
    /** Gives a few free pages back; true while there are more than are worth keeping, or than none where `all`. */
    vacuumStep(all: boolean): boolean {
      const kept = all ? 0 : Math.max(vacuumPages, pageCount() * freeShareKept);
      const before = freePages();
      if (before <= kept) return false;
      db.run(`PRAGMA incremental_vacuum(${vacuumPages})`);
      // A file from before this setting gives nothing back by steps.
      return freePages() > kept && freePages() < before;
    },
    checkpoint: (): void => {
      db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    },
  };
}
