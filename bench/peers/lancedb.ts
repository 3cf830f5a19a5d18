import { join } from "node:path";
import { npmVersion } from "./installed.ts";
import { graph, type LibraryPeer, type Row } from "./peer.ts";
import { K } from "./vectors.ts";

/** What is used of the package. */
interface LanceDb {
  connect(path: string): Promise<Connection>;
  Index: { hnswSq(options: object): object; bitmap(): object };
}

interface Connection {
  createTable(name: string, rows: readonly object[]): Promise<Table>;
  openTable(name: string): Promise<Table>;
  close(): void;
}

interface Table {
  add(rows: readonly object[]): Promise<unknown>;
  optimize(): Promise<unknown>;
  createIndex(column: string, options: { config: object }): Promise<void>;
  query(): Query;
}

interface Query {
  nearestTo(vector: Float32Array): Query;
  distanceType(type: string): Query;
  ef(ef: number): Query;
  refineFactor(factor: number): Query;
  where(predicate: string): Query;
  select(columns: readonly string[]): Query;
  limit(count: number): Query;
  toArray(): Promise<{ row: number }[]>;
}

/** Candidates in that of the hits, compared again by whole vectors: those of the graph are of 8 bits. */
const REFINE = 4;

/** LanceDB by its Node binding; searches run in threads of its own. */
export const lanceDbPeer: LibraryPeer = {
  kind: "library",
  name: "LanceDB",
  interface: "in process",
  parameters:
    "IVF_HNSW_SQ of one partition, m 16, ef_construction 128, ef 64, refine 4, cosine, bitmap on filters",
  version: (install) => npmVersion(install, "@lancedb/lancedb"),
  async open({ install, dataDir }) {
    const lance: LanceDb = await import(Bun.resolveSync("@lancedb/lancedb", join(install, "npm")));
    const connection = await lance.connect(join(dataDir, "lance"));
    let table: Table | undefined;
    const opened = async (): Promise<Table> => (table ??= await connection.openTable("vectors"));
    return {
      create: async () => {},
      async insert(rows) {
        if (table === undefined)
          table = await connection.createTable("vectors", rows.map(toRecord));
        else await table.add(rows.map(toRecord));
      },
      async settle() {
        const { m, efConstruction } = graph;
        const shape = { distanceType: "cosine", numPartitions: 1, m, efConstruction };
        const vectors = await opened();
        await vectors.optimize();
        await vectors.createIndex("vector", { config: lance.Index.hnswSq(shape) });
        await vectors.createIndex("percent1", { config: lance.Index.bitmap() });
        await vectors.createIndex("percent10", { config: lance.Index.bitmap() });
      },
      async search({ query, filter, value }) {
        const nearest = (await opened()).query().nearestTo(query).distanceType("cosine");
        const wanted = nearest
          .ef(graph.ef)
          .refineFactor(REFINE)
          .limit(K)
          .select(["row", "_distance"]);
        const bound = filter === "none" ? wanted : wanted.where(`${filter} = '${value}'`);
        return (await bound.toArray()).map(({ row }) => row);
      },
      async [Symbol.asyncDispose]() {
        connection.close();
      },
    };
  },
};

function toRecord({ row, vector, percent1, percent10 }: Row): object {
  return { row, vector: Array.from(vector), percent1, percent10 };
}
