import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { LoadGenerator } from "../support/load.ts";
import { requestBytes } from "../support/load-answer.ts";
import { fillPassages, searchUrl, settle } from "../support/load-collection.ts";
import { cutPassages, realQueries, type Passage } from "../support/load-passages.ts";
import { rounded } from "../support/load-results.ts";
import { mediansOf, takeTurns, turn, type Turn } from "../support/load-rounds.ts";
import { startServer, type BenchServer } from "../support/server.ts";
import { readSets } from "../support/sets.ts";
import { endWithUs } from "./children.ts";
import { startChromaText } from "./chroma-text.ts";
import type { PeersResult, TextRow } from "./results.ts";

const SETS = ["cranfield", "cisi", "cosqa"];
const MODELS = ["all-MiniLM-L6-v2", "static-256"] as const;

/** Ways of searching this program, by what its users would set. */
const WAYS = [
  { model: MODELS[0], what: "all-MiniLM-L6-v2, meaning alone", body: { mode: "semantic" } },
  { model: MODELS[0], what: "all-MiniLM-L6-v2, hybrid", body: {} },
  {
    model: MODELS[0],
    what: "all-MiniLM-L6-v2, hybrid, fast query encoder",
    body: { query_encoder: "fast" },
  },
  { model: MODELS[1], what: "static-256, hybrid", body: {} },
] as const;

/** Ways of embedding queries with Chroma, by what its users would write. */
const CHROMA_WAYS = [
  { embedder: "kept", what: "all-MiniLM-L6-v2, meaning alone, its embedding class kept open" },
  { embedder: "default", what: "all-MiniLM-L6-v2, meaning alone, as it is by default" },
] as const;

interface Options {
  generator: LoadGenerator;
  install: string;
  folder: string;
  binary: string | undefined;
  passages: number;
  rounds: number;
  seconds: number;
}

/** A way of searching with its turns. */
interface Entrant {
  row: Pick<TextRow, "name" | "interface" | "what" | "written_per_second">;
  c1: Turn;
  c16: Turn;
}

/**
 * From the text of a query to hits, through Chroma with its default embedding and through this program, over the same
 * passages; null where there are no test sets on this machine. Both answer with the passages' texts, as they do by default.
 */
export async function compareText(options: Options): Promise<PeersResult["text"]> {
  const sets = await readSets(SETS);
  if (sets.length === 0) return null;
  const passages = cutPassages(sets, options.passages);
  const queries = realQueries(sets);
  await using stack = new AsyncDisposableStack();
  const folder = join(options.folder, "text");
  const dataDir = join(folder, "slipstream");
  mkdirSync(dataDir, { recursive: true });
  const { binary } = options;
  const server = stack.use(
    await startServer(binary === undefined ? { dataDir } : { dataDir, binary }),
  );
  const { forget } = endWithUs(server.pid);
  stack.defer(forget);
  const ours = await ourEntrants(server, { passages, queries }, options);
  const texts = { passages, queries };
  const chroma = stack.use(await startChromaText(options.install, join(folder, "chroma"), texts));
  const fillSeconds = await chroma.fill();
  const written_per_second = rounded(passages.length / fillSeconds, 1);
  const chromas = CHROMA_WAYS.map(({ embedder, what }): Entrant => {
    const searching = (connections: number): Turn =>
      turn(() => chroma.round({ embedder, connections, seconds: options.seconds }));
    const row = { name: "Chroma", interface: "Python client and server", what, written_per_second };
    return { row, c1: searching(1), c16: searching(16) };
  });
  const entrants = [...ours, ...chromas];
  await takeTurns(
    entrants.flatMap(({ c1, c16 }) => [c1, c16]),
    options.rounds,
  );
  const weights = (await Bun.file(join(options.install, "weights")).text()).trim();
  const rows = entrants.map(rowOf);
  return { passages: passages.length, queries: queries.length, weights, rows };
}

async function ourEntrants(
  server: BenchServer,
  { passages, queries }: { passages: readonly Passage[]; queries: readonly string[] },
  { generator, seconds }: Options,
): Promise<Entrant[]> {
  const rates = new Map<string, number>();
  for (const model of MODELS) {
    const collection = { url: server.url, name: model };
    const start = performance.now();
    await fillPassages(collection, model, passages);
    rates.set(model, (passages.length / (performance.now() - start)) * 1000);
    await settle(collection);
  }
  return WAYS.map(({ model, what, body }) => {
    const at = searchUrl({ url: server.url, name: model });
    const requests = queries.map((query) => requestBytes(at, { query, k: 10, ...body }));
    const job = { url: server.url, requests, seconds, warmUpSeconds: 0.3, expect: '"hits":[{' };
    const written_per_second = rounded(rates.get(model) ?? 0, 1);
    return {
      row: { name: "Slipstream", interface: "HTTP", what, written_per_second },
      c1: turn(() => generator.run({ ...job, connections: 1 })),
      c16: turn(() => generator.run({ ...job, connections: 16 })),
    };
  });
}

function rowOf({ row, c1, c16 }: Entrant): TextRow {
  const [one, many] = [mediansOf(c1.reports), mediansOf(c16.reports)];
  return {
    ...row,
    c1_p50_ms: rounded(one.p50_us / 1000, 3),
    c1_per_second: one.per_second,
    c16_per_second: many.per_second,
    c16_p50_ms: rounded(many.p50_us / 1000, 3),
  };
}
