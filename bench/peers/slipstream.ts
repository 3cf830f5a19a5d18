import manifest from "../../package.json" with { type: "json" };
import {
  createCollection,
  hitRows,
  searchUrl,
  settle,
  writeDocuments,
} from "../support/load-collection.ts";
import { startServer } from "../support/server.ts";
import { endWithUs } from "./children.ts";
import type { HttpPeer } from "./peer.ts";
import { DIMENSIONS, jsonVector, K } from "./vectors.ts";

/** This program, from source or its binary where one is named. */
export function slipstreamPeer(binary: string | undefined): HttpPeer {
  return {
    kind: "http",
    name: "Slipstream",
    interface: "HTTP",
    parameters: "i8 graph, m 16, efConstruction 128, ef 64",
    version: async () => manifest.version,
    async start({ dataDir }) {
      const server = await startServer(binary === undefined ? { dataDir } : { dataDir, binary });
      const { forget } = endWithUs(server.pid);
      const collection = { url: server.url, name: "vectors" };
      const url = searchUrl(collection);
      return {
        url: server.url,
        pid: server.pid,
        expect: '"hits":[{',
        create: () => createCollection(collection, { model: "none", dimensions: DIMENSIONS }),
        insert: (rows) =>
          writeDocuments(
            collection,
            rows.map(({ row, vector, percent1, percent10 }) => ({
              id: `d${row}`,
              vector: jsonVector(vector),
              metadata: { percent1, percent10 },
            })),
          ),
        settle: () => settle(collection),
        async request({ query, filter, value }) {
          const bound = filter === "none" ? {} : { filter: { [filter]: value } };
          return { url, body: { vector: jsonVector(query), k: K, fields: [], ...bound } };
        },
        rowsOf: hitRows,
        async [Symbol.asyncDispose]() {
          await server[Symbol.asyncDispose]();
          forget();
        },
      };
    },
  };
}
