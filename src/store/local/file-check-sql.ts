import { featureProblems } from "./feature-check-sql.ts";
import type { Connection } from "./open-database.ts";

/** The SQL that looks at the file as a whole. */
export function fileCheckSql({ db, keep }: Connection) {
  const bytes = keep<{ bytes: number }, []>(
    "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size",
  );
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
    check: (): string[] => {
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
        ...featureProblems(db),
      ];
    },
    diskBytes: (): number => bytes.get()?.bytes ?? 0,
  };
}
