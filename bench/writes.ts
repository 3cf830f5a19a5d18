/**
 * Documents a second that 64 clients write, one with its own vector a request, with many requests in one commit as the
 * server does it and with a commit for each, and with the vector as JSON numbers and as base64 of float32. The load comes
 * from wrk where it is installed, and else from our own generator.
 * `bun bench/writes.ts [--quick]`
 */
import { Value } from "@sinclair/typebox/value";
import { parseArgs } from "node:util";
import { CollectionSchema } from "../src/contract/collections.ts";
import { DIMENSIONS, jsonVector } from "./peers/vectors.ts";
import { clusteredVectors } from "./support/clustered-vectors.ts";
import { LoadGenerator } from "./support/load.ts";
import { describeMachine, keepPart } from "./support/load-results.ts";
import { postLoad, postLoader, type PostLoad } from "./support/post-load.ts";
import { mediansOf, ratioOf, takeTurns, turn, type Turn } from "./support/load-rounds.ts";
import { callJson, post, startServer, type BenchServer } from "./support/server.ts";

const RESULTS = "bench/results/writes.json";
const CLIENTS = 64;
const SEED = 64;
/** The setting under which a transaction takes one document, so that every request has a commit of its own. */
const COMMIT_PER_REQUEST = { WRITE_TRANSACTION_DOCUMENTS: "1" };

/** Different documents a second that the clients have: a round that is through with them would begin to replace. */
const DOCUMENTS_PER_SECOND = 12_000;

/** How a vector stands in the JSON of a request. */
type Encode = (vector: Float32Array) => number[] | string;

const base64Vector: Encode = (vector) =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");

/** The JSON of a request for each vector, one document in each. */
function bodiesOf(vectors: Float32Array, encode: Encode): string[] {
  return Array.from({ length: vectors.length / DIMENSIONS }, (_, row) => {
    const vector = encode(vectors.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS));
    return JSON.stringify({ documents: [{ id: `d${row}`, vector }] });
  });
}

/** Collections made so far: each round has its own, so that the index is as small in the last as in the first. */
let collectionsMade = 0;

/** Rounds on a server. */
function writesTo(server: BenchServer, load: PostLoad): Turn {
  return turn(async () => {
    const name = `writes-${collectionsMade++}`;
    const collections = `${server.url}/api/v1/collections`;
    await callJson(collections, post({ name, model: "none", dimensions: DIMENSIONS }));
    const at = `${collections}/${name}/documents`;
    const report = await load.run(at, { connections: CLIENTS, seconds });
    const state = await callJson(`${collections}/${name}`);
    const { documents } = Value.Parse(CollectionSchema, state);
    if (documents < report.requests)
      throw new Error(`${documents} documents of ${report.requests} that were acknowledged`);
    const dropped = await fetch(`${collections}/${name}`, { method: "DELETE" });
    if (!dropped.ok) throw new Error(`${dropped.status} ${await dropped.text()}`);
    return report;
  });
}

/** What both servers came to with one encoding. */
function figuresOf({ grouped, single }: { grouped: Turn; single: Turn }) {
  return {
    grouped: mediansOf(grouped.reports),
    commit_per_request: mediansOf(single.reports),
    grouped_in_single: ratioOf(grouped.reports, single.reports, "perSecond"),
  };
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "string", default: RESULTS },
  },
});
const { rounds, seconds } = values.quick ? { rounds: 5, seconds: 1 } : { rounds: 7, seconds: 2 };
const machine = describeMachine();
const count = Math.ceil((seconds + 0.5) * DOCUMENTS_PER_SECOND);
const vectors = clusteredVectors(count, DIMENSIONS, SEED);
using kept = new DisposableStack();
await using generator = LoadGenerator.start();
await using groupedServer = await startServer();
await using singleServer = await startServer({ settings: COMMIT_PER_REQUEST });
const turnsWith = (encode: Encode) => {
  const bodies = bodiesOf(vectors, encode);
  const writing = kept.use(postLoad(bodies, { generator, expect: '"upserted":1' }));
  return { grouped: writesTo(groupedServer, writing), single: writesTo(singleServer, writing) };
};
const [inNumbers, inBase64] = [turnsWith(jsonVector), turnsWith(base64Vector)];
await takeTurns([...Object.values(inNumbers), ...Object.values(inBase64)], rounds);
const [numbers, base64] = [figuresOf(inNumbers), figuresOf(inBase64)];
console.log(`${CLIENTS} clients, a document of ${DIMENSIONS} numbers a request`);
console.table({
  "numbers, grouped": numbers.grouped,
  "numbers, commit per request": numbers.commit_per_request,
  "base64, grouped": base64.grouped,
  "base64, commit per request": base64.commit_per_request,
});
console.log(
  `${numbers.grouped_in_single} times as many documents a second as with a commit for each request; with base64, ${base64.grouped_in_single} times`,
);
const facts = { load: postLoader, clients: CLIENTS, dimensions: DIMENSIONS, rounds };
await keepPart(values.json, values.quick, { machine, ...facts, ...numbers, base64 });
