/**
 * Searches over HTTP through the real server: with the caller's own vectors against a bare server around usearch, and
 * hybrid over real passages with searches in the server's thread and in children. `bun bench/http.ts [--quick]`
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LoadGenerator } from "./support/load.ts";
import { measureCeiling } from "./support/load-ceiling.ts";
import { describeMachine, keepPart, rounded } from "./support/load-results.ts";
import { measureText } from "./support/load-text.ts";
import { measureVectors } from "./support/load-vectors.ts";

const RESULTS = "bench/results/http.json";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    cache: { type: "string", default: join(tmpdir(), "slipstream-bench-peers") },
    json: { type: "string", default: RESULTS },
  },
});
const size = values.quick
  ? { vectors: 10_000, passages: 5000, rounds: 7, seconds: 0.5 }
  : { vectors: 100_000, passages: 30_000, rounds: 5, seconds: 3 };

await using generator = LoadGenerator.start();
const machine = describeMachine();
const { c1, c16 } = await measureCeiling(generator, 2);
const ceiling = {
  c1_per_second: rounded(c1.perSecond, 0),
  c1_p50_us: c1.p50Us,
  c16_per_second: rounded(c16.perSecond, 0),
  c16_generator_cpu_us: rounded(c16.generatorCpuUs, 1),
};
console.log("the load generator against a constant", ceiling);
const vectors = await measureVectors({ generator, cache: values.cache, ...size });
const text = await measureText({ generator, ...size });
await keepPart(values.json, values.quick, { machine, ceiling, vectors, text });
const { recall10 } = vectors;
console.log(recall10 >= 0.99 ? "every floor is held" : `missed: recall ${recall10}`);
process.exitCode = recall10 >= 0.99 ? 0 : 1;
