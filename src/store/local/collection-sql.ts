import type { Quantization } from "../../contract/collections.ts";
import { limits } from "../../limits.ts";
import { Problem } from "../../problems.ts";
import type { CollectionCounts, CollectionRow, NewCollection } from "../store.ts";
import type { Connection } from "./open-database.ts";

interface StoredCollection {
  key: number;
  name: string;
  model: string;
  modelSha256: string | null;
  dimensions: number;
  metric: "cosine";
  chunking: string;
  fusion: string;
  keyword: string;
  quantization: Quantization;
  createdAt: string;
  updatedAt: string;
}

const COLUMNS = `c.key, c.name, c.model, c.model_sha256 AS modelSha256, c.dimensions, c.metric, c.chunking, c.fusion,
  c.keyword, c.quantization,  c.created_at AS createdAt, c.updated_at AS updatedAt`;

type Values = (string | number | null)[];

/** The SQL of collections. Synchronous; the caller wraps writes in transactions. */
export function collectionSql({ keep }: Connection) {
  const all = keep<StoredCollection, []>(
    `SELECT ${COLUMNS} FROM collections c WHERE c.name IS NOT NULL ORDER BY c.name`,
  );
  const byName = keep<StoredCollection, [string, string]>(
    `SELECT ${COLUMNS} FROM collections c WHERE c.name = ?
     UNION ALL
     SELECT ${COLUMNS} FROM aliases a JOIN collections c ON c.key = a.collection_key WHERE a.name = ? LIMIT 1`,
  );
  const isLive = keep<unknown, [number]>(
    "SELECT 1 FROM collections WHERE key = ? AND name IS NOT NULL",
  );
  const insert = keep<{ key: number }, Values>(
    `INSERT INTO collections (name, model, model_sha256, dimensions, metric, chunking, fusion, keyword, quantization,
       created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING key`,
  );
  const setFusion = keep<unknown, [string, string, number]>(
    "UPDATE collections SET fusion = ?, updated_at = ? WHERE key = ?",
  );
  const counts = keep<CollectionCounts, [number]>(
    `SELECT documents, chunks,
       (SELECT count(*) FROM chunks WHERE collection_key = collections.key AND state = 0) AS pendingEmbeddings
     FROM collections WHERE key = ?`,
  );
  const addCounts = keep<unknown, [number, number, number]>(
    "UPDATE collections SET documents = documents + ?, chunks = chunks + ? WHERE key = ?",
  );
  return {
    all: (): CollectionRow[] => all.all().map(toRow),
    byName: (name: string): CollectionRow | undefined => {
      const row = byName.get(name, name);
      return row === null ? undefined : toRow(row);
    },
    /** False once it was dropped, while its rows are on their way out. */
    isLive: (key: number): boolean => isLive.get(key) !== null,
    counts: (key: number): CollectionCounts =>
      counts.get(key) ?? { documents: 0, chunks: 0, pendingEmbeddings: 0 },
    addCounts: (
      key: number,
      { documents, chunks }: { documents: number; chunks: number },
    ): void => {
      addCounts.run(documents, chunks, key);
    },
    insert(collection: NewCollection, now: string): CollectionRow {
      if (byName.get(collection.name, collection.name) !== null) throw nameTaken();
      if (all.all().length >= limits.collectionsMax) {
        throw new Problem(
          "limit_reached",
          `There are ${limits.collectionsMax} collections already.`,
        );
      }
      const row = insert.get(...toValues(collection, now));
      return { ...collection, key: row?.key ?? 0, createdAt: now, updatedAt: now };
    },
    setFusion: (key: number, fusion: unknown, now: string): void => {
      setFusion.run(JSON.stringify(fusion), now, key);
    },
  };
}

/** The SQL of aliases. */
export function aliasSql({ keep }: Connection) {
  const isCollection = keep<unknown, [string]>("SELECT 1 FROM collections WHERE name = ?");
  const all = keep<{ name: string; collection: string }, []>(
    `SELECT a.name, c.name AS collection FROM aliases a JOIN collections c ON c.key = a.collection_key ORDER BY a.name`,
  );
  const put = keep<unknown, [string, number]>(
    `INSERT INTO aliases (name, collection_key) VALUES (?, ?)
     ON CONFLICT (name) DO UPDATE SET collection_key = excluded.collection_key`,
  );
  const remove = keep<unknown, [string]>("DELETE FROM aliases WHERE name = ?");
  return {
    all: () => all.all(),
    put(name: string, collectionKey: number): void {
      if (isCollection.get(name) !== null) throw nameTaken();
      const known = all.all();
      if (known.length >= limits.aliasesMax && !known.some((alias) => alias.name === name)) {
        throw new Problem("limit_reached", `There are ${limits.aliasesMax} aliases already.`);
      }
      put.run(name, collectionKey);
    },
    remove: (name: string): boolean => remove.run(name).changes > 0,
  };
}

function toValues(collection: NewCollection, now: string): Values {
  const { name, model, modelSha256, dimensions, metric, quantization } = collection;
  const settings = [collection.chunking, collection.fusion, collection.keyword];
  const texts = settings.map((one) => JSON.stringify(one));
  return [name, model, modelSha256, dimensions, metric, ...texts, quantization, now, now];
}

function nameTaken(): Problem {
  return new Problem("name_taken", "A collection or an alias has this name already.");
}

function toRow(row: StoredCollection): CollectionRow {
  // The columns hold what `insert` above wrote.
  const [chunking, fusion, keyword] = [row.chunking, row.fusion, row.keyword].map((text) =>
    JSON.parse(text),
  );
  return { ...row, chunking, fusion, keyword };
}
