import type { Filter } from "../filter.ts";
import { joinChunks } from "../join-chunks.ts";
import type { DocumentPage, DocumentRow } from "../store.ts";
import { andFilter, jsonPath } from "./filter-sql.ts";
import type { Connection } from "./open-database.ts";

type Values = (string | number)[];

interface StoredDocument extends Omit<DocumentRow, "metadata" | "text"> {
  metadata: string;
}

const DOCUMENT_COLUMNS = `d.key, d.id, d.title, d.metadata, d.sequence, d.created_at AS createdAt, d.updated_at AS updatedAt,
  (SELECT count(*) FROM chunks c WHERE c.document_key = d.key) AS chunks,
  (SELECT count(*) FROM chunks c WHERE c.document_key = d.key AND c.state = 0) AS pendingEmbeddings`;

/** The SQL that reads documents. */
export function documentReadSql({ db, keep }: Connection) {
  const one = keep<StoredDocument, [number, string]>(
    `SELECT ${DOCUMENT_COLUMNS} FROM documents d WHERE d.collection_key = ? AND d.id = ?`,
  );
  const textParts = keep<{ start: number; text: string | null }, [number]>(
    "SELECT start, text FROM chunks WHERE document_key = ? ORDER BY position",
  );
  const toDocument = (row: StoredDocument): DocumentRow => ({
    ...row,
    metadata: JSON.parse(row.metadata),
    text: joinChunks(textParts.all(row.key)),
  });
  const query = <T>(sql: string, values: Values): T[] => {
    using statement = db.prepare<T, Values>(sql);
    return statement.all(...values);
  };
  return {
    document: (collectionKey: number, id: string): DocumentRow | undefined => {
      const row = one.get(collectionKey, id);
      return row === null ? undefined : toDocument(row);
    },
    documents: ({ collectionKey, filter, after, limit }: DocumentPage): DocumentRow[] => {
      const only = andFilter(filter);
      const rows = query<StoredDocument>(
        `SELECT ${DOCUMENT_COLUMNS} FROM documents d WHERE d.collection_key = ? AND d.id > ?${only.sql}
         ORDER BY d.id LIMIT ?`,
        [collectionKey, after ?? "", ...only.values, limit],
      );
      return rows.map(toDocument);
    },
    countDocuments: (collectionKey: number, filter?: Filter): number => {
      const only = andFilter(filter);
      const sql = `SELECT count(*) AS count FROM documents d WHERE d.collection_key = ?${only.sql}`;
      return query<{ count: number }>(sql, [collectionKey, ...only.values])[0]?.count ?? 0;
    },
    documentsMatching: (
      collectionKey: number,
      { filter, without, limit }: { filter?: Filter; without: readonly number[]; limit: number },
    ): { documentKey: number; chunkKey: number }[] => {
      const only = andFilter(filter);
      return query(
        `SELECT d.key AS documentKey, (SELECT min(c.key) FROM chunks c WHERE c.document_key = d.key) AS chunkKey
         FROM documents d WHERE d.collection_key = ?${only.sql} AND d.key NOT IN (SELECT value FROM json_each(?))
         ORDER BY d.key LIMIT ?`,
        [collectionKey, ...only.values, JSON.stringify(without), limit],
      );
    },
    facet: (
      collectionKey: number,
      { path, filter, limit }: { path: readonly string[]; filter?: Filter; limit: number },
    ): { value: unknown; count: number }[] => {
      const only = andFilter(filter);
      const rows = query<{ value: string; count: number }>(
        `SELECT e.value AS value, count(DISTINCT e.key) AS count FROM (
           SELECT CASE WHEN j.type IN ('true', 'false') THEN j.type ELSE json_quote(j.value) END AS value, d.key AS key
           FROM documents d, json_each(CASE json_type(d.metadata, ?1) WHEN 'array' THEN d.metadata -> ?1
             ELSE json_array(json(d.metadata -> ?1)) END) j
           WHERE d.collection_key = ?2 AND json_type(d.metadata, ?1) IS NOT NULL
             AND j.type NOT IN ('object', 'array')${only.sql}
         ) e GROUP BY e.value ORDER BY count DESC, value LIMIT ${Math.trunc(limit)}`,
        [jsonPath(path), collectionKey, ...only.values],
      );
      return rows.map((row) => ({ value: JSON.parse(row.value), count: row.count }));
    },
  };
}
