import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { DIMENSIONS, jsonVector, K, makeVectorSet, recallOf } from "../peers/vectors.ts";
import type { LoadGenerator } from "./load.ts";
import { requestBytes } from "./load-answer.ts";
import { startBareServer } from "./load-bare-server.ts";
import { fillVectors, hitRows, searchUrl, settle } from "./load-collection.ts";
import { rounded } from "./load-results.ts";
import { mediansOf, ratioOf, takeTurns, turn } from "./load-rounds.ts";
import { callJson, post, startServer } from "./server.ts";
import { addBare, bareIndex, type Rows } from "./vector-parts.ts";

const CONNECTIONS = [1, 16] as const;

interface Options {
  generator: LoadGenerator;
  cache: string;
  vectors: number;
  rounds: number;
  seconds: number;
}

/** Searches with the caller's own vector through the server, in turns with a bare server around the same graph. */
export async function measureVectors(options: Options) {
  const { cache, vectors: count, rounds } = options;
  const { rows, queries, truth } = await makeVectorSet(cache, count);
  await using bare = await startBareServer(savedIndex(cache, rows));
  await using server = await startServer();
  const collection = { url: server.url, name: "vectors" };
  const start = performance.now();
  await fillVectors(collection, rows);
  const filled = performance.now();
  await settle(collection);
  const settled = performance.now();
  // Both are asked for ids and scores, which is all that the bare one has.
  const bodies = queries.map((query) => ({ vector: jsonVector(query), k: K, fields: [] }));
  const url = searchUrl(collection);
  const recall = async (at: string): Promise<number> => {
    const found: number[][] = [];
    for (const body of bodies) found.push(hitRows(await callJson(at, post(body))));
    return rounded(recallOf(found, truth.none), 4);
  };
  const recalls = { recall10: await recall(url), bare_recall10: await recall(`${bare.url}/`) };
  const loads = CONNECTIONS.map((connections) => {
    const job = { connections, seconds: options.seconds, warmUpSeconds: 0.3, expect: '"hits":[{' };
    const against = (origin: string, at: string) => {
      const requests = bodies.map((body) => requestBytes(at, body));
      return turn(() => options.generator.run({ ...job, url: origin, requests }));
    };
    const [ours, ceiling] = [against(server.url, url), against(bare.url, `${bare.url}/`)];
    return { connections, ours, ceiling };
  });
  await takeTurns(
    loads.flatMap(({ ours, ceiling }) => [ours, ceiling]),
    rounds,
  );
  const measured = loads.map(({ connections, ours, ceiling }) => {
    const [own, bareOne] = [mediansOf(ours.reports), mediansOf(ceiling.reports)];
    const ratios = {
      throughput_in_bare: ratioOf(ours.reports, ceiling.reports, "perSecond"),
      p50_in_bare: ratioOf(ours.reports, ceiling.reports, "p50Us"),
    };
    return [`c${connections}`, { ours: own, bare: bareOne, ...ratios }] as const;
  });
  console.log(`${count} own vectors of ${DIMENSIONS}`, recalls);
  for (const [name, row] of measured) {
    const { throughput_in_bare, p50_in_bare } = row;
    console.log(
      `${name}: throughput ${throughput_in_bare}, median ${p50_in_bare} of the bare server's`,
    );
    console.table({ ours: row.ours, bare: row.bare });
  }
  return {
    count,
    dimensions: DIMENSIONS,
    rounds,
    ...recalls,
    written_per_second: rounded((count / (filled - start)) * 1000, 0),
    sealed_after_s: rounded((settled - filled) / 1000, 1),
    ...Object.fromEntries(measured),
  };
}

/** usearch's own index of the rows, saved in the cache. */
function savedIndex(cache: string, rows: Rows): string {
  const path = join(cache, `peers-bare-${rows.keys.length}.usearch`);
  if (!existsSync(path)) {
    const index = bareIndex(DIMENSIONS);
    addBare(index, rows);
    index.save(`${path}.tmp`);
    renameSync(`${path}.tmp`, path);
  }
  return path;
}
