import { limits } from "../../limits.ts";
import type { Connection } from "./open-database.ts";

/** The SQL that removes a collection: hidden first, then its rows slice by slice. */
export function dropSql({ keep }: Connection) {
  const hide = keep<unknown, [number]>("UPDATE collections SET name = NULL WHERE key = ?");
  const removeAliases = keep<unknown, [number]>("DELETE FROM aliases WHERE collection_key = ?");
  const hidden = keep<{ key: number }, []>("SELECT key FROM collections WHERE name IS NULL");
  const removeDocuments = keep<unknown, [number, number]>(
    "DELETE FROM documents WHERE key IN (SELECT key FROM documents WHERE collection_key = ? LIMIT ?)",
  );
  const removeChanges = keep<unknown, [number, number]>(
    "DELETE FROM changes WHERE sequence IN (SELECT sequence FROM changes WHERE collection_key = ? LIMIT ?)",
  );
  const removeMatches = keep<unknown, [number, number]>(
    `DELETE FROM standing_matches WHERE (collection_key, document_id, query) IN
       (SELECT collection_key, document_id, query FROM standing_matches WHERE collection_key = ? LIMIT ?)`,
  );
  const removeDeliveries = keep<unknown, [number, number]>(
    `DELETE FROM webhook_deliveries WHERE id IN (SELECT d.id FROM webhook_deliveries d
     JOIN standing_queries q ON q.id = d.query_id WHERE q.collection_key = ? LIMIT ?)`,
  );
  const remove = keep<unknown, [number]>("DELETE FROM collections WHERE key = ?");
  return {
    hide(key: number): void {
      hide.run(key);
      removeAliases.run(key);
    },
    hidden: (): number[] => hidden.all().map((row) => row.key),
    /** True while rows remain. */
    removeSlice(key: number): boolean {
      const slice = limits.documentsPerTransactionMax;
      const changes =
        removeDocuments.run(key, slice).changes +
        removeChanges.run(key, slice * 10).changes +
        removeMatches.run(key, slice * 10).changes +
        removeDeliveries.run(key, slice * 10).changes;
      if (changes > 0) return true;
      remove.run(key);
      return false;
    },
  };
}
