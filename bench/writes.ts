/**
 * Documents a second that 64 clients write, one with its own vector a request, with many requests in one commit as the
 * server does it and with a commit for each. `bun bench/writes.ts [--quick]`
 */
import { parseArgs } from "node:util";
import { DIMENSIONS, jsonVector } from "./peers/vectors.ts";
import { clusteredVectors } from "./support/clustered-vectors.ts";
import { LoadGenerator } from "./support/load.ts";
import { textRequestBytes } from "./support/load-answer.ts";
import { describeMachine, keepPart } from "./support/load-results.ts";
import { mediansOf, ratioOf, takeTurns, turn, type Turn } from "./support/load-rounds.ts";
import { callJson, post, startServer, type BenchServer } from "./support/server.ts";

const RESULTS = "bench/results/writes.json";
const CLIENTS = 64;
const SEED = 64;
/** The setting under which a transaction takes one document, so that every request has a commit of its own. */
const COMMIT_PER_REQUEST = { WRITE_TRANSACTION_DOCUMENTS: "1" };

/** Different documents a second that the clients have: a round that is through with them would begin to replace. */
const DOCUMENTS_PER_SECOND = 10_000;
const WARM_UP_SECONDS = 0.3;

/** Rounds on a server, each into a collection of its own, so that the index is as small in the last as in the first. */
function writesTo(server: BenchServer, generator: LoadGenerator, seconds: number): Turn {
  let round = 0;
  return turn(async () => {
    const name = `writes-${round++}`;
    const collections = `${server.url}/api/v1/collections`;
    await callJson(collections, post({ name, model: "none", dimensions: DIMENSIONS }));
    const at = `${collections}/${name}/documents`;
    const requests = bodies.map((body) => textRequestBytes(at, body));
    const job = {
      url: server.url,
      requests,
      connections: CLIENTS,
      seconds,
      warmUpSeconds: WARM_UP_SECONDS,
    };
    const report = await generator.run({ ...job, expect: '"upserted":1' });
    const dropped = await fetch(`${collections}/${name}`, { method: "DELETE" });
    if (!dropped.ok) throw new Error(`${dropped.status} ${await dropped.text()}`);
    return report;
  });
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "string", default: RESULTS },
  },
});
const { rounds, seconds } = values.quick ? { rounds: 5, seconds: 1 } : { rounds: 7, seconds: 2 };
const machine = describeMachine();
const count = Math.ceil((seconds + WARM_UP_SECONDS) * DOCUMENTS_PER_SECOND);
const vectors = clusteredVectors(count, DIMENSIONS, SEED);
const bodies = Array.from({ length: count }, (_, row) => {
  const vector = jsonVector(vectors.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS));
  return JSON.stringify({ documents: [{ id: `d${row}`, vector }] });
});
await using generator = LoadGenerator.start();
await using grouped = await startServer();
await using single = await startServer({ settings: COMMIT_PER_REQUEST });
const turns = {
  grouped: writesTo(grouped, generator, seconds),
  single: writesTo(single, generator, seconds),
};
await takeTurns(Object.values(turns), rounds);
const figures = {
  grouped: mediansOf(turns.grouped.reports),
  commit_per_request: mediansOf(turns.single.reports),
};
const ratio = ratioOf(turns.grouped.reports, turns.single.reports, "perSecond");
console.log(`${CLIENTS} clients, a document of ${DIMENSIONS} numbers a request`);
console.table(figures);
console.log(`${ratio} times as many documents a second as with a commit for each request`);
const facts = { clients: CLIENTS, dimensions: DIMENSIONS, rounds };
await keepPart(values.json, values.quick, {
  machine,
  ...facts,
  ...figures,
  grouped_in_single: ratio,
});
