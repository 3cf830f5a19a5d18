import { limits } from "../limits.ts";
import type { CollectionRow, StoreRead } from "../store/store.ts";
import type { LabelsOf } from "../telemetry/instruments.ts";
import { getBusinessMetrics, metrics } from "../telemetry/metrics.ts";
import type { IndexReport } from "./collection-index.ts";
import type { Engine } from "./engine.ts";

/** Numbers of the indexes and what they are the sum of. */
const SUMS = {
  index_vectors: ({ vectors }: IndexReport) => vectors,
  index_words: ({ words }: IndexReport) => words,
  index_segments: ({ segments }: IndexReport) => segments,
  index_dead_rows: ({ dead }: IndexReport) => dead,
  index_unsealed_rows: ({ unsealed }: IndexReport) => unsealed,
  index_unsealed_bytes: ({ unsealedBytes }: IndexReport) => unsealedBytes,
  index_disk_bytes: ({ diskBytes }: IndexReport) => diskBytes,
  index_reclaimable_bytes: ({ reclaimableBytes }: IndexReport) => reclaimableBytes,
  index_heap_bytes: ({ heapBytes }: IndexReport) => heapBytes,
  index_building: ({ building }: IndexReport) => (building ? 1 : 0),
  index_catching_up: ({ catchingUp }: IndexReport) => (catchingUp ? 1 : 0),
  index_build_failures: ({ failures }: IndexReport) => failures,
  index_builds_total: ({ builds }: IndexReport) => builds,
  index_built_rows_total: ({ builtRows }: IndexReport) => builtRows,
} as const;

type IndexNumber = keyof typeof SUMS;

/** Shows how the indexes are, in the process that owns their files. */
export function observeIndexes(
  engine: Pick<Engine, "indexReports" | "findIndex">,
  store: Pick<StoreRead, "collections" | "counts" | "pendingTotal">,
): Disposable {
  using stack = new DisposableStack();
  let reports: readonly IndexReport[] = [];
  let pending = 0;
  const observeSum = (name: IndexNumber): Disposable =>
    metrics.observe(name, () => reports.reduce((sum, report) => sum + SUMS[name](report), 0));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.keys forgets that they are those of the table
  for (const name of Object.keys(SUMS) as IndexNumber[]) stack.use(observeSum(name));
  stack.use(metrics.observe("embedding_pending_chunks", () => pending));
  const scores = stack.use(createScores());
  stack.use(
    metrics.refresh(async () => {
      reports = engine.indexReports();
      pending = await store.pendingTotal();
      const collections = (await store.collections()).slice(0, limits.metricCollectionsMax);
      const entries: [string, number][] = [];
      for (const collection of collections)
        entries.push([collection.name, await scoreOf({ engine, store }, collection)]);
      scores.show(entries);
    }),
  );
  return stack.move();
}

/** Shows what the models of this process remember. */
export function observeModels({ models }: Pick<Engine, "models">): Disposable {
  using stack = new DisposableStack();
  stack.use(metrics.observe("embedding_cache_hits_total", () => models.recent().hits));
  stack.use(metrics.observe("embedding_cache_misses_total", () => models.recent().misses));
  stack.use(metrics.observe("embedding_cache_bytes", () => models.recent().bytes));
  return stack.move();
}

async function scoreOf(
  { engine, store }: { engine: Pick<Engine, "findIndex">; store: Pick<StoreRead, "counts"> },
  { key }: CollectionRow,
): Promise<number> {
  const report = engine.findIndex(key)?.report();
  return healthScore(await store.counts(key), {
    catchingUp: report?.catchingUp ?? true,
    failures: report?.failures ?? 0,
  });
}

/**
 * 0 to 100, higher is better: the share of chunks that have been embedded, half of it while the index catches up, half of
 * that after builds that failed.
 */
export function healthScore(
  { chunks, pendingEmbeddings }: { chunks: number; pendingEmbeddings: number },
  { catchingUp, failures }: Pick<IndexReport, "catchingUp" | "failures">,
): number {
  const embedded = chunks === 0 ? 1 : Math.max(0, chunks - pendingEmbeddings) / chunks;
  const score = 100 * embedded * (catchingUp ? 0.5 : 1) * (failures > 0 ? 0.5 : 1);
  return Math.round(score * 10) / 10;
}

/** A score that is shown until it is disposed. */
function showScore(labels: LabelsOf<"collection_health_score">): { score: number } & Disposable {
  const entry = { score: 0 };
  const observed = getBusinessMetrics().collection_health_score.observe(() => entry.score, labels);
  return Object.assign(entry, { [Symbol.dispose]: () => observed[Symbol.dispose]() });
}

/** Scores by collection, which come and go. */
function createScores() {
  const shown = new Map<string, { score: number } & Disposable>();
  return {
    show(entries: readonly (readonly [name: string, score: number])[]): void {
      const names = new Set(entries.map(([name]) => name));
      for (const [name, entry] of shown) {
        if (names.has(name)) continue;
        entry[Symbol.dispose]();
        shown.delete(name);
      }
      for (const [collection, score] of entries) {
        const entry = shown.get(collection) ?? showScore({ collection });
        entry.score = score;
        shown.set(collection, entry);
      }
    },
    [Symbol.dispose](): void {
      for (const entry of shown.values()) entry[Symbol.dispose]();
      shown.clear();
    },
  };
}
