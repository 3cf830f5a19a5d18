import { join } from "node:path";
import { npmVersion } from "./installed.ts";
import { graph, type LibraryPeer } from "./peer.ts";
import { DIMENSIONS, K } from "./vectors.ts";

/** What is used of the package. */
interface Zvec {
  ZVecInitialize(options: object): void;
  ZVecCreateAndOpen(path: string, schema: object): Collection;
  ZVecOpen(path: string): Collection;
  ZVecCollectionSchema: new (schema: object) => object;
  ZVecDataType: Readonly<Record<"STRING" | "VECTOR_FP32", number>>;
  ZVecIndexType: Readonly<Record<"HNSW" | "INVERT", number>>;
  ZVecMetricType: Readonly<Record<"COSINE", number>>;
  ZVecLogType: Readonly<Record<"CONSOLE", string>>;
  ZVecLogLevel: Readonly<Record<"ERROR", number>>;
}

interface Collection {
  insertSync(documents: readonly object[]): { ok: boolean; message: string }[];
  optimize(): Promise<void>;
  query(options: object): Promise<{ id: string }[]>;
  closeSync(): void;
}

/** zvec by its Node binding; searches run in threads of its own. */
export const zvecPeer: LibraryPeer = {
  kind: "library",
  name: "zvec",
  interface: "in process",
  parameters: "HNSW f32, m 16, efConstruction 128, ef 64, cosine, inverted index on filters",
  version: (install) => npmVersion(install, "@zvec/zvec"),
  async open({ install, dataDir }) {
    const zvec: Zvec = await import(Bun.resolveSync("@zvec/zvec", join(install, "npm")));
    const { ZVecIndexType: types, ZVecLogType, ZVecLogLevel } = zvec;
    zvec.ZVecInitialize({ logType: ZVecLogType.CONSOLE, logLevel: ZVecLogLevel.ERROR });
    const path = join(dataDir, "vectors");
    let collection: Collection | undefined;
    const opened = (): Collection => (collection ??= zvec.ZVecOpen(path));
    return {
      async create() {
        collection = zvec.ZVecCreateAndOpen(path, schemaOf(zvec));
      },
      async insert(rows) {
        const answers = opened().insertSync(
          rows.map(({ row, vector, percent1, percent10 }) => ({
            id: `d${row}`,
            vectors: { embedding: vector },
            fields: { percent1, percent10 },
          })),
        );
        const wrong = answers.find(({ ok }) => !ok);
        if (wrong !== undefined) throw new Error(wrong.message);
      },
      settle: () => opened().optimize(),
      async search({ query, filter, value }) {
        const bound = filter === "none" ? {} : { filter: `${filter} = '${value}'` };
        const params = { indexType: types.HNSW, ef: graph.ef };
        const wanted = { fieldName: "embedding", vector: query, topk: K, outputFields: [] };
        const hits = await opened().query({ ...wanted, params, ...bound });
        return hits.map(({ id }) => Number(id.slice(1)));
      },
      async [Symbol.asyncDispose]() {
        collection?.closeSync();
      },
    };
  },
};

function schemaOf(zvec: Zvec): object {
  const { ZVecDataType: data, ZVecIndexType: index, ZVecMetricType: metric } = zvec;
  const { m, efConstruction } = graph;
  const indexParams = { indexType: index.HNSW, metricType: metric.COSINE, m, efConstruction };
  const text = (name: string) => ({
    name,
    dataType: data.STRING,
    indexParams: { indexType: index.INVERT },
  });
  return new zvec.ZVecCollectionSchema({
    name: "vectors",
    vectors: {
      name: "embedding",
      dataType: data.VECTOR_FP32,
      dimension: DIMENSIONS,
      indexParams,
    },
    fields: [text("percent1"), text("percent10")],
  });
}
