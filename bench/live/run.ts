/**
 * Live feeds through this program, and through raw Bun, `ws` and Socket.IO: fan-out, a reconnect storm, memory of idle
 * connections, and from a write to the match of a standing query. `bench/live/install.sh` first.
 * `bun bench/live/run.ts [--quick] [--part NAME]... [--only NAME]... [--rounds N] [--install FOLDER] [--json FILE]`
 */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine, keepPart } from "../support/load-results.ts";
import { barsOf } from "./bars.ts";
import { contestants, type ContestantName } from "./contestants.ts";
import { LoadClient } from "./load-client.ts";
import { fanOutRounds, idleRounds, matchRounds, stormRounds } from "./parts.ts";
import { canPin, cores } from "./pin.ts";
import type { LiveResult } from "./results.ts";
import { fanOutRows, idleRows, matchRows, stormRows } from "./rows.ts";
import { printTables } from "./table.ts";

/** A run that takes longer than this hangs. */
const RUN_MS_MAX = 15 * 60_000;
const PARTS = ["fan-out", "storm", "idle", "match"];
const DURABLE: ContestantName = "Slipstream, durable history";
const RAW: ContestantName = "raw Bun";
const NO_HISTORY: ContestantName = "Slipstream, no history";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    part: { type: "string", multiple: true, default: PARTS },
    only: { type: "string", multiple: true, default: [] },
    rounds: { type: "string" },
    install: { type: "string", default: join(tmpdir(), "slipstream-live-peers") },
    json: { type: "string", default: "bench/results/live.json" },
  },
});
const { install, quick, part, only } = values;
if (!existsSync(join(install, "npm/node_modules"))) {
  console.error(`Nothing is installed in ${install}: run bench/live/install.sh ${install} first.`);
  process.exit(2);
}
const size = quick
  ? { rounds: 1, blocks: 3, seconds: 0.5, steps: [1000, 10_000], documents: 200 }
  : { rounds: 2, blocks: 6, seconds: 0.8, steps: [1000, 5000, 10_000], documents: 1000 };
if (values.rounds !== undefined) size.rounds = Number(values.rounds);
setTimeout(() => {
  console.error(`not done after ${RUN_MS_MAX / 60_000} minutes`);
  process.exit(1);
}, RUN_MS_MAX).unref();
const started = performance.now();
const machine = describeMachine();
const all = (await contestants(install)).filter(
  ({ name }) => only.length === 0 || only.some((word) => name.includes(word)),
);
const remembering = all.filter(({ name }) => name !== NO_HISTORY);
await using client = LoadClient.start(cores.clients);
const { rounds, blocks, seconds, steps, documents } = size;
const result: LiveResult = {
  machine,
  versions: Object.fromEntries(all.map(({ name, version }) => [name, version])),
  pinned: canPin,
  rounds,
  fan_out: [],
  storm: [],
  idle: [],
  match: [],
  bars: [],
};
if (part.includes("fan-out")) {
  // All at once would be more sockets than a process may have.
  const ours = all.filter(({ name }) => !name.endsWith("on Node"));
  const others = all.filter(({ name }) => name === RAW || name.endsWith("on Node"));
  for (const subscribers of [1000, 5000]) {
    const options = { client, rounds, subscribers, blocks, seconds };
    const rows = fanOutRows(subscribers, await fanOutRounds({ ...options, contestants: ours }));
    const further = await fanOutRounds({ ...options, contestants: others });
    const apart = fanOutRows(subscribers, further).filter(({ name }) => name !== RAW);
    result.fan_out.push(...rows, ...apart);
  }
}
// Those on Node take seconds to let all in again, and what they take in memory is no bar.
const few = quick ? remembering.filter(({ name }) => !name.endsWith("on Node")) : remembering;
if (part.includes("storm")) {
  const options = { client, contestants: few, rounds, subscribers: 5000, missed: 5 };
  result.storm = stormRows(options.subscribers, await stormRounds(options));
}
if (part.includes("idle")) {
  result.idle = idleRows(steps, await idleRounds({ client, contestants: few, rounds, steps }));
}
if (part.includes("match")) {
  const own = all.filter(({ name }) => name === DURABLE);
  const options = { client, contestants: own, rounds, queries: 1000, documents };
  if (own.length > 0) result.match = matchRows(options.queries, await matchRounds(options));
}
result.bars = barsOf(result);
printTables(result);
// A part of it is a look and no result.
if (only.length === 0 && part.length === PARTS.length) await keepPart(values.json, quick, result);
console.log(`${Math.round((performance.now() - started) / 1000)} s`);
const missed = result.bars.filter(({ held }) => !held);
console.log(missed.length === 0 ? "every bar is held" : `${missed.length} bars are missed`);
process.exitCode = missed.length === 0 ? 0 : 1;
