import type { Connection } from "./open-database.ts";

/** Pages given back in one step: some 2 ms. */
const vacuumPages = 500;

/** Free pages that are left for the next writes. */
const freeShareKept = 0.1;

/** The SQL that keeps the file small. */
export function upkeepSql({ db, keep }: Connection) {
  const number = (pragma: string) => {
    const statement = keep<Record<string, number>, []>(`PRAGMA ${pragma}`);
    return (): number => Object.values(statement.get() ?? {})[0] ?? 0;
  };
  const pageCount = number("page_count");
  const freePages = number("freelist_count");
  return {
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
