import { Problem } from "../../problems.ts";
import type { EmbedAgain } from "../store.ts";
import type { Connection } from "./open-database.ts";

interface Noted {
  modelSha256: string | null;
  upTo: number | null;
}

/** The SQL that notes that a collection is embedded again. Every function is called inside a transaction. */
export function embedAgainSql({ keep }: Connection) {
  const find = keep<Noted, [number]>(
    `SELECT model_sha256 AS modelSha256, embed_again_up_to AS upTo FROM collections
     WHERE key = ? AND name IS NOT NULL`,
  );
  const lastKey = keep<{ key: number | null }, []>("SELECT max(key) AS key FROM chunks");
  const begin = keep<unknown, [number, string, number]>(
    `UPDATE collections SET embed_again_up_to = ?, embed_again_sha256 = model_sha256, model_sha256 = ? WHERE key = ?`,
  );
  const count = keep<{ chunks: number }, [number, number]>(
    "SELECT count(*) AS chunks FROM chunks WHERE collection_key = ? AND key <= ?",
  );
  // What they remember of the past was found by vectors that are no more; the next one to ask looks at all documents again.
  const forgetMatches = keep<unknown, [number]>(
    `UPDATE standing_leaves SET sequence = -1 WHERE collection_key = ?1
       AND EXISTS (SELECT 1 FROM collections WHERE key = ?1 AND embed_again_sha256 IS NOT model_sha256)`,
  );
  const end = keep<unknown, [number]>(
    "UPDATE collections SET embed_again_up_to = NULL, embed_again_sha256 = NULL WHERE key = ?",
  );
  const noted = (collectionKey: number): Noted => {
    const row = find.get(collectionKey);
    if (row !== null) return row;
    throw new Problem("collection_not_found", "The collection was dropped meanwhile.");
  };
  return {
    begin(collectionKey: number, modelSha256: string): EmbedAgain {
      const before = noted(collectionKey);
      const goesOn = before.upTo !== null && before.modelSha256 === modelSha256;
      // Keys only grow: what is written from now on is above it, and of the new weights.
      const upTo = goesOn ? (before.upTo ?? 0) : (lastKey.get()?.key ?? 0);
      if (!goesOn) begin.run(upTo, modelSha256, collectionKey);
      return { upTo, chunks: count.get(collectionKey, upTo)?.chunks ?? 0 };
    },
    end(collectionKey: number): void {
      if (noted(collectionKey).upTo === null) return;
      forgetMatches.run(collectionKey);
      end.run(collectionKey);
    },
  };
}

export type EmbedAgainSql = ReturnType<typeof embedAgainSql>;
