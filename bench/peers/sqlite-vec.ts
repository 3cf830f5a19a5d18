import { Database } from "bun:sqlite";
import { join } from "node:path";
import { npmVersion } from "./installed.ts";
import type { LibraryPeer } from "./peer.ts";
import { DIMENSIONS, K } from "./vectors.ts";

/** What is used of the package. */
interface SqliteVec {
  load(db: Database): void;
}

/** sqlite-vec in bun:sqlite: it compares with every vector, so its calls block their thread. */
export const sqliteVecPeer: LibraryPeer = {
  kind: "library",
  name: "sqlite-vec",
  interface: "in process",
  parameters: "vec0 table, exact, cosine",
  version: (install) => npmVersion(install, "sqlite-vec"),
  async open({ install, dataDir }) {
    const library: SqliteVec = await import(Bun.resolveSync("sqlite-vec", join(install, "npm")));
    const db = new Database(join(dataDir, "vectors.db"));
    library.load(db);
    db.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    const prepared = (where: string) =>
      db.prepare<{ rowid: number }, (Float32Array | string | number)[]>(
        `SELECT rowid FROM vectors WHERE embedding MATCH ? AND k = ${K}${where} ORDER BY distance`,
      );
    const select = { none: "", percent1: " AND percent1 = ?", percent10: " AND percent10 = ?" };
    return {
      async create() {
        db.run(`CREATE VIRTUAL TABLE vectors USING vec0(
          embedding float[${DIMENSIONS}] distance_metric=cosine, percent1 text, percent10 text)`);
      },
      async insert(rows) {
        const statement = db.query(
          "INSERT INTO vectors (rowid, embedding, percent1, percent10) VALUES (?, ?, ?, ?)",
        );
        db.transaction(() => {
          for (const { row, vector, percent1, percent10 } of rows) {
            statement.run(row, vector, percent1, percent10);
          }
        })();
      },
      settle: async () => {},
      async search({ query, filter, value }) {
        const values = filter === "none" ? [query] : [query, value];
        using statement = prepared(select[filter]);
        return statement.all(...values).map(({ rowid }) => rowid);
      },
      async [Symbol.asyncDispose]() {
        db.close();
      },
    };
  },
};
