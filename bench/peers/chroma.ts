import { join } from "node:path";
import { callJson, post } from "../support/server.ts";
import { freePort, listens, startChild, type Child } from "./children.ts";
import { pythonVersion } from "./installed.ts";
import { graph, type HttpPeer, type Places, type Row } from "./peer.ts";
import { jsonVector, K } from "./vectors.ts";

const NAME = "vectors";

/** `chroma run` over a data directory; resolves when it listens. */
export async function startChroma({
  install,
  dataDir,
}: Places): Promise<{ child: Child; port: number }> {
  const port = await freePort();
  const log = join(dataDir, "..", "chroma.log");
  const command = [join(install, "python/bin/chroma"), "run", "--path", dataDir];
  const child = startChild([...command, "--host", "127.0.0.1", "--port", String(port)], {
    log,
    env: { HOME: join(install, "home"), ANONYMIZED_TELEMETRY: "False" },
  });
  await listens(child, port, log);
  return { child, port };
}

/** Chroma's server by its HTTP interface. */
export const chromaPeer: HttpPeer = {
  kind: "http",
  name: "Chroma",
  interface: "HTTP",
  parameters: "max_neighbors 16, ef_construction 128, ef_search 64, cosine",
  version: (install) => pythonVersion(install, "chromadb"),
  async start(places) {
    const { child, port } = await startChroma(places);
    const url = `http://127.0.0.1:${port}`;
    const collections = `${url}/api/v2/tenants/default_tenant/databases/default_database/collections`;
    let known: string | undefined;
    const path = async (): Promise<string> => {
      known ??= idOf(await callJson(`${collections}/${NAME}`));
      return `${collections}/${known}`;
    };
    return {
      url,
      pid: child.pid,
      expect: '"ids":[["',
      async create() {
        const { m, efConstruction, ef } = graph;
        const hnsw = {
          space: "cosine",
          max_neighbors: m,
          ef_construction: efConstruction,
          ef_search: ef,
        };
        await callJson(collections, post({ name: NAME, configuration: { hnsw } }));
      },
      insert: async (rows) => void (await callJson(`${await path()}/add`, post(batchOf(rows)))),
      // It indexes at a write, or keeps the last ones aside and compares with all of these: there is nothing to wait for.
      settle: async () => {},
      async request({ query, filter, value }) {
        const bound = filter === "none" ? {} : { where: { [filter]: value } };
        const body = { query_embeddings: [jsonVector(query)], n_results: K, ...bound };
        return { url: `${await path()}/query`, body: { ...body, include: ["distances"] } };
      },
      rowsOf,
      [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
    };
  },
};

function batchOf(rows: readonly Row[]) {
  return {
    ids: rows.map(({ row }) => `d${row}`),
    embeddings: rows.map(({ vector }) => jsonVector(vector)),
    metadatas: rows.map(({ percent1, percent10 }) => ({ percent1, percent10 })),
  };
}

function idOf(answer: unknown): string {
  if (typeof answer === "object" && answer !== null && "id" in answer) return String(answer.id);
  throw new Error(`no collection: ${JSON.stringify(answer)}`);
}

function rowsOf(answer: unknown): number[] {
  const ids: unknown =
    typeof answer === "object" && answer !== null && "ids" in answer ? answer.ids : [];
  const [first = []]: string[][] = Array.isArray(ids) ? ids : [];
  return first.map((id) => Number(id.slice(1)));
}
