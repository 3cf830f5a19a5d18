import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LoadGenerator, withProbe, type LoadReport } from "./load.ts";
import { requestBytes, textRequestBytes } from "./load-answer.ts";
import { fillPassages, searchUrl, settle } from "./load-collection.ts";
import { cutPassages, realQueries, type Passage } from "./load-passages.ts";
import { postLoad, postLoader, type PostLoad } from "./post-load.ts";
import { mediansOf, ratioOf, takeTurns, turn, type Turn } from "./load-rounds.ts";
import { startServer, type BenchServer } from "./server.ts";
import { readSets } from "./sets.ts";

const SETS = ["cranfield", "cisi", "cosqa"];
const MODEL = "static-256";
const NAME = "passages";
/** Values of the setting that says how many children there are. */
const ENGINES = ["0", "auto", "2"] as const;
const CONNECTIONS = [1, 16] as const;
/** Load on each server before the first round: engines compile their code for seconds, on the cores that are measured. */
const COMPILE_SECONDS = 8;
/** Of the probe of /health/live: 100 a second are no load and enough for a p99. */
const PROBE_PAUSE_MS = 10;

interface Options {
  generator: LoadGenerator;
  passages: number;
  rounds: number;
  seconds: number;
}

interface Variant {
  engines: (typeof ENGINES)[number];
  loads: { connections: number; load: Turn; live: LoadReport[] }[];
  quiet: Turn;
}

/**
 * Hybrid searches over real passages, for each number of children in turn, while /health/live is asked; undefined where
 * there are no test sets on this machine.
 */
export async function measureText(options: Options) {
  const sets = await readSets(SETS);
  if (sets.length === 0) return undefined;
  const passages = cutPassages(sets, options.passages);
  const queries = realQueries(sets);
  const folder = mkdtempSync(join(tmpdir(), "slipstream-bench-text-"));
  try {
    await fill(join(folder, ENGINES[0]), passages);
    for (const engines of ENGINES.slice(1)) {
      cpSync(join(folder, ENGINES[0]), join(folder, engines), { recursive: true });
    }
    const variants = await measureVariants(folder, queries, options);
    return { passages: passages.length, queries: queries.length, model: MODEL, ...variants };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fill(dataDir: string, passages: readonly Passage[]): Promise<void> {
  await using server = await startServer({ dataDir });
  const collection = { url: server.url, name: NAME };
  await fillPassages(collection, MODEL, passages);
  await settle(collection);
}

async function measureVariants(folder: string, queries: readonly string[], options: Options) {
  await using stack = new AsyncDisposableStack();
  const prober = stack.use(LoadGenerator.start());
  const bodies = queries.map((query) => JSON.stringify({ query, k: 10 }));
  const expect = '"hits":[{';
  const searches = stack.use(postLoad(bodies, { generator: options.generator, expect }));
  const variants: Variant[] = [];
  for (const engines of ENGINES) {
    const settings = { ENGINES: engines };
    const server = stack.use(await startServer({ dataDir: join(folder, engines), settings }));
    variants.push({ engines, ...turnsOf(server, { ...options, searches, prober }) });
    await compile(server, bodies, { ...options, expect });
  }
  const turns = variants.flatMap(({ loads, quiet }) => [...loads.map(({ load }) => load), quiet]);
  await takeTurns(turns, options.rounds);
  return figuresOf(variants, options.rounds);
}

/** Load of our own generator, which looks at every answer. */
async function compile(
  { url }: BenchServer,
  bodies: readonly string[],
  { generator, expect }: Options & { expect: string },
): Promise<void> {
  const at = searchUrl({ url, name: NAME });
  const requests = bodies.map((body) => textRequestBytes(at, body));
  const connections = Math.max(...CONNECTIONS);
  await generator.run({ url, requests, expect, connections, seconds: COMPILE_SECONDS });
}

function turnsOf(
  { url }: BenchServer,
  { searches, prober, seconds }: Options & { searches: PostLoad; prober: LoadGenerator },
): Pick<Variant, "loads" | "quiet"> {
  const request = requestBytes(`${url}/health/live`);
  const asked = { url, pauseMs: PROBE_PAUSE_MS, seconds, warmUpSeconds: 0.3 };
  const at = searchUrl({ url, name: NAME });
  const loads = CONNECTIONS.map((connections) => {
    const live: LoadReport[] = [];
    const load = turn(async () => {
      const searching = searches.run(at, { connections, seconds });
      const reports = await withProbe(searching, { ...asked, generator: prober, request });
      live.push(reports.probe);
      return reports.load;
    });
    return { connections, load, live };
  });
  const quiet = turn(() => prober.run({ ...asked, requests: [request], connections: 1 }));
  return { loads, quiet };
}

function figuresOf(variants: readonly Variant[], rounds: number) {
  const engines = Object.fromEntries(
    variants.map(({ engines: name, loads, quiet }) => {
      const byConnections = loads.map(({ connections, load, live }) => {
        const { p50_us, p99_us } = mediansOf(live);
        const figures = { ...mediansOf(load.reports), live_p50_us: p50_us, live_p99_us: p99_us };
        return [`c${connections}`, figures] as const;
      });
      const { p50_us, p99_us } = mediansOf(quiet.reports);
      const unloaded = { live_p50_us: p50_us, live_p99_us: p99_us };
      const figures: Record<string, object> = { ...Object.fromEntries(byConnections), unloaded };
      return [`engines_${name}`, figures];
    }),
  );
  const [inThread, ...others] = variants;
  const ratios = Object.fromEntries(
    others.flatMap(({ engines: name, loads }) =>
      loads.map(({ connections, load, live }, at) => {
        const base = inThread?.loads[at];
        const ratio = {
          throughput: ratioOf(load.reports, base?.load.reports ?? [], "perSecond"),
          live_p50: ratioOf(live, base?.live ?? [], "p50Us"),
          live_p99: ratioOf(live, base?.live ?? [], "p99Us"),
        };
        return [`engines_${name}_in_0_c${connections}`, ratio];
      }),
    ),
  );
  for (const connections of CONNECTIONS) {
    console.log(`hybrid over real passages, ${MODEL}, c${connections}, by ENGINES`);
    console.table(
      Object.fromEntries(
        Object.entries(engines).map(([name, of]) => [name, of[`c${connections}`]]),
      ),
    );
  }
  console.log("in that of ENGINES=0", ratios);
  return { rounds, load: postLoader, engines, ratios };
}
