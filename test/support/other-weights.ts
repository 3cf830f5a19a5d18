import { Database } from "bun:sqlite";
import { rmSync } from "node:fs";
import { join } from "node:path";

/**
 * Makes the data of a server that is stopped what an older release with other weights would have left: each chunk has the
 * vector of another one, and a hash of weights that nobody has. Index files are made of that anew.
 */
export function embeddedByOtherWeights(dataDir: string): void {
  {
    using db = new Database(join(dataDir, "slipstream.db"), { strict: true });
    db.run(
      `UPDATE vectors SET vector = turned.vector FROM (
         SELECT chunk_key, lag(vector, 7, vector) OVER (ORDER BY chunk_key) AS vector FROM vectors
       ) AS turned WHERE turned.chunk_key = vectors.chunk_key`,
    );
    db.run(`UPDATE collections SET model_sha256 = '${"0".repeat(64)}' WHERE model <> 'none'`);
  }
  rmSync(join(dataDir, "index"), { recursive: true, force: true });
}
