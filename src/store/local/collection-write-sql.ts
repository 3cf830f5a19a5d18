import { limits } from "../../limits.ts";
import { Problem } from "../../problems.ts";
import type { CollectionRow, NewCollection } from "../store.ts";
import type { CollectionReadSql } from "./collection-read-sql.ts";
import type { Connection } from "./open-database.ts";

type Values = (string | number | null)[];

/** The SQL that writes collections and aliases. Every function is called inside a transaction. */
export function collectionWriteSql({ keep }: Connection, reads: CollectionReadSql) {
  const insert = keep<{ key: number }, Values>(
    `INSERT INTO collections (name, model, model_sha256, dimensions, metric, chunking, fusion, keyword, quantization,
       created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING key`,
  );
  const setFusion = keep<unknown, [string, string, number]>(
    "UPDATE collections SET fusion = ?, updated_at = ? WHERE key = ?",
  );
  const state = keep<{ indexSequence: number; live: number }, [number]>(
    "SELECT index_sequence AS indexSequence, name IS NOT NULL AS live FROM collections WHERE key = ?",
  );
  const advance = keep<unknown, [number, number, number, number]>(
    "UPDATE collections SET index_sequence = ?, documents = documents + ?, chunks = chunks + ? WHERE key = ?",
  );
  const isCollection = keep<unknown, [string]>("SELECT 1 FROM collections WHERE name = ?");
  const putAlias = keep<unknown, [string, number]>(
    `INSERT INTO aliases (name, collection_key) VALUES (?, ?)
     ON CONFLICT (name) DO UPDATE SET collection_key = excluded.collection_key`,
  );
  const removeAlias = keep<unknown, [string]>("DELETE FROM aliases WHERE name = ?");
  return {
    insert(collection: NewCollection, now: string): CollectionRow {
      if (reads.byName(collection.name) !== undefined) throw nameTaken();
      if (reads.all().length >= limits.collectionsMax) {
        throw new Problem(
          "limit_reached",
          `There are ${limits.collectionsMax} collections already.`,
        );
      }
      const row = insert.get(...toValues(collection, now));
      return {
        ...collection,
        key: row?.key ?? 0,
        embedAgain: "no",
        createdAt: now,
        updatedAt: now,
      };
    },
    setFusion: (key: number, fusion: unknown, now: string): void => {
      setFusion.run(JSON.stringify(fusion), now, key);
    },
    /** Where a collection's index log stands, and whether the collection is there and not dropped. */
    state(key: number): { indexSequence: number; live: boolean } {
      const row = state.get(key);
      return { indexSequence: row?.indexSequence ?? 0, live: row?.live === 1 };
    },
    /** Moves the index log on and the counters by so many. */
    advance(key: number, by: { indexSequence: number; documents: number; chunks: number }): void {
      advance.run(by.indexSequence, by.documents, by.chunks, key);
    },
    putAlias(name: string, collectionKey: number): void {
      if (isCollection.get(name) !== null) throw nameTaken();
      const known = reads.aliases();
      if (known.length >= limits.aliasesMax && !known.some((alias) => alias.name === name)) {
        throw new Problem("limit_reached", `There are ${limits.aliasesMax} aliases already.`);
      }
      putAlias.run(name, collectionKey);
    },
    removeAlias: (name: string): boolean => removeAlias.run(name).changes > 0,
  };
}

export type CollectionWriteSql = ReturnType<typeof collectionWriteSql>;

function toValues(collection: NewCollection, now: string): Values {
  const { name, model, modelSha256, dimensions, metric, quantization } = collection;
  const settings = [collection.chunking, collection.fusion, collection.keyword];
  const texts = settings.map((one) => JSON.stringify(one));
  return [name, model, modelSha256, dimensions, metric, ...texts, quantization, now, now];
}

function nameTaken(): Problem {
  return new Problem("name_taken", "A collection or an alias has this name already.");
}
