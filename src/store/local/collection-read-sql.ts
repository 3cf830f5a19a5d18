import type { Quantization } from "../../contract/collections.ts";
import type { CollectionCounts, CollectionRow } from "../store.ts";
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
  embedAgain: CollectionRow["embedAgain"];
  createdAt: string;
  updatedAt: string;
}

const COLUMNS = `c.key, c.name, c.model, c.model_sha256 AS modelSha256, c.dimensions, c.metric, c.chunking, c.fusion,
  c.keyword, c.quantization,  c.created_at AS createdAt, c.updated_at AS updatedAt,
  CASE WHEN c.embed_again_up_to IS NULL THEN 'no' WHEN c.embed_again_sha256 IS c.model_sha256 THEN 'same_weights'
    ELSE 'other_weights' END AS embedAgain`;

/** The SQL that reads collections and aliases. */
export function collectionReadSql({ keep }: Connection) {
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
  const counts = keep<CollectionCounts, [number]>(
    `SELECT documents, chunks,
       (SELECT count(*) FROM chunks WHERE collection_key = collections.key AND state = 0) AS pendingEmbeddings
     FROM collections WHERE key = ?`,
  );
  const aliases = keep<{ name: string; collection: string }, []>(
    `SELECT a.name, c.name AS collection FROM aliases a JOIN collections c ON c.key = a.collection_key ORDER BY a.name`,
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
    aliases: () => aliases.all(),
  };
}

export type CollectionReadSql = ReturnType<typeof collectionReadSql>;

function toRow(row: StoredCollection): CollectionRow {
  // The columns hold what the write side stored.
  const [chunking, fusion, keyword] = [row.chunking, row.fusion, row.keyword].map((text) =>
    JSON.parse(text),
  );
  return { ...row, chunking, fusion, keyword };
}
