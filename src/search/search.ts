import type { Hit, SearchRequest, SearchResult } from "../contract/search.ts";
import type { Engine } from "../engine/engine.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { ChunkHit, CollectionRow, StoreRead } from "../store/store.ts";
import { createChunksPerDocument, type ChunksPerDocument } from "./chunks-per-document.ts";
import { createDocumentKeys } from "./document-keys.ts";
import { fuse, FUSED_CANDIDATES, type Fused, type Ranked } from "./fuse.ts";
import { keywordConfidence } from "./keyword-confidence.ts";
import { createFilterSets, type FilterSets } from "./filter-sets.ts";
import type { Scope } from "./keyword-side.ts";
import { debugIsWritten, getLogger } from "../telemetry/logs.ts";
import { stage } from "../telemetry/stages.ts";
import { planSearch, type SearchDeps, type SearchPlan } from "./plan.ts";
import { createReadMemory, type ReadMemory } from "./read-memory.ts";
import { rankByMeaning, rankByWords, type SideOptions } from "./sides.ts";

const log = getLogger("search");

/** The score of a document that matches the filter and that the semantic side cannot see: after all that it can. */
const UNSEEN_SCORE = { semantic: -1, hybrid: 0 } as const;

/** Searches of a collection that is embedded again, where a commit came into each of them. */
const TRIES_MAX = 4;

interface FindDeps extends SearchDeps {
  filterSets: FilterSets;
  chunksPerDocument: ChunksPerDocument;
}

interface Found {
  fused: Fused[];
  /** Of the keyword side, 0…1. */
  confidence: number;
  candidates: { semantic: number; keyword: number };
  timings: Record<string, number>;
}

/** The read path: plan, both sides, fuse, fill up, fetch what is shown. */
export function createSearch(given: Omit<SearchDeps, "documentKeys">) {
  const { store, engine } = given;
  const deps = { ...given, documentKeys: createDocumentKeys(store) };
  const filterSets = createFilterSets(store);
  const chunksPerDocument = createChunksPerDocument(store);
  const memory = createReadMemory(store);
  const searchOnce = async (
    collection: CollectionRow,
    request: SearchRequest,
    { degraded, start }: { degraded: boolean; start: number },
  ): Promise<{ result: SearchResult; version: string }> => {
    // Asked once: a version is a statement of SQL that locks the file, three of which were a tenth of a search.
    const { version, sequence } = memory.begin();
    await engine.reach(collection, version);
    if (request.min_sequence !== undefined && request.min_sequence > sequence) {
      throw new Problem("not_ready", "The change of min_sequence has not happened here.", {
        retryAfterMs: 1000,
      });
    }
    const whole = planSearch(request, collection, deps);
    const plan = degraded ? withoutMeaning(whole) : whole;
    const found = await find({ ...deps, filterSets, chunksPerDocument }, plan);
    const { page, chunks } = await stage("store", () => fetchPage({ store, memory }, plan, found));
    const shown = page.flatMap((one) => {
      const chunk = chunks.get(one.chunkKey);
      return chunk === undefined ? [] : [toHit(one, chunk, plan)];
    });
    if (debugIsWritten()) logQuery(plan, request.query, { hits: shown.length, start });
    const result = {
      hits: shown,
      ...(await extras({ store, filterSets }, plan, found)),
      ...(plan === whole ? {} : { degraded: true }),
      took_ms: milliseconds(start),
      model: collection.model,
      sequence,
    };
    return { result, version };
  };
  return {
    /**
     * `degraded` leaves the semantic side of a hybrid search out. @throws Problem as `planSearch`; `not_ready`,
     * `model_mismatch`, `embedding_failed`; `engine_lost` for a semantic search that is degraded
     */
    async search(
      collection: CollectionRow,
      request: SearchRequest,
      { degraded = false }: { degraded?: boolean } = {},
    ): Promise<SearchResult> {
      const start = performance.now();
      for (let tries = 1; ; tries++) {
        const { result, version } = await searchOnce(collection, request, { degraded, start });
        // What was found may have got another key before it was shown, many chunks at a time.
        const isWhole = collection.embedAgain === "no" || store.version() === version;
        if (isWhole || tries === TRIES_MAX) return result;
      }
    },
  };
}

export type Search = ReturnType<typeof createSearch>;

/** What people look for is theirs: it stands in the log of whoever looks for a fault, and in no other. */
function logQuery(
  { collection, mode, k }: SearchPlan,
  query: string | undefined,
  { hits, start }: { hits: number; start: number },
): void {
  const duration_ms = milliseconds(start);
  log.debug("index.query", { collection: collection.name, mode, k, hits, query, duration_ms });
}

/** What words alone can answer of a search. */
function withoutMeaning(plan: SearchPlan): SearchPlan {
  if (plan.mode === "semantic") {
    throw new Problem("engine_lost", "Engines ended over this search by meaning.", {
      retryAfterMs: 1000,
    });
  }
  return plan.mode === "hybrid" ? { ...plan, mode: "keyword" } : plan;
}

async function find(deps: FindDeps, plan: SearchPlan): Promise<Found> {
  const wanted = plan.k + plan.offset;
  const count = plan.mode === "hybrid" ? Math.max(FUSED_CANDIDATES, wanted) : wanted;
  const { collection, groupBy } = plan;
  const chunksPerUnit = groupBy === "chunk" ? 1 : await deps.chunksPerDocument(collection);
  const options: SideOptions = { collection, groupBy, count, chunksPerUnit };
  const timings: Record<string, number> = {};
  const scope = await scopeOf(deps, plan, timings);
  const semantic =
    plan.mode === "keyword" ? [] : await semantically(deps, plan, { options, timings, scope });
  const start = performance.now();
  const side = plan.keyword;
  const keyword =
    side === undefined ? [] : await stage("keyword", () => rankByWords(side, options, scope));
  timings["keyword_ms"] = milliseconds(start);
  const confidence = side === undefined ? 1 : await keywordConfidence(side, keyword);
  return {
    fused: await stage("fuse", () => rank(plan, { semantic, keyword }, confidence)),
    confidence,
    candidates: { semantic: semantic.length, keyword: keyword.length },
    timings,
  };
}

/** The filter's set, which both sides use. */
async function scopeOf(
  { filterSets }: Pick<FindDeps, "filterSets">,
  { filter, collection }: SearchPlan,
  timings: Record<string, number> = {},
): Promise<Scope> {
  if (filter === undefined) return { filter, allowed: undefined };
  const start = performance.now();
  const allowed = await stage("filter", () => filterSets.matching(collection.key, filter));
  timings["filter_ms"] = milliseconds(start);
  return { filter, allowed };
}

async function semantically(
  deps: SearchDeps,
  plan: SearchPlan,
  {
    options,
    timings,
    scope,
  }: { options: SideOptions; timings: Record<string, number>; scope: Scope },
): Promise<Ranked[]> {
  const start = performance.now();
  const { vector, rescore } = await stage("embed", () => queryVectors(deps.engine, plan));
  timings["embed_ms"] = milliseconds(start);
  if (vector === undefined) {
    // Words remain in a hybrid search; a semantic one has nothing to go by.
    if (plan.mode === "hybrid") return [];
    throw new Problem("empty_text", `${plan.collection.model} knows no word of the query.`);
  }
  const searching = performance.now();
  const search = { vector, rescore, allowed: scope.allowed };
  const ranked = await stage("vectors", () => rankByMeaning(deps, options, search));
  timings["semantic_ms"] = milliseconds(searching);
  return ranked;
}

async function queryVectors(
  engine: Engine,
  { vector, collection, query, encoder }: SearchPlan,
): Promise<{ vector: Float32Array | undefined; rescore: Float32Array | undefined }> {
  if (vector !== undefined) return { vector, rescore: undefined };
  if (encoder === "full")
    return { vector: await engine.embedQuery(collection, query), rescore: undefined };
  const fast = await engine.embedQueryFast(collection, query);
  const rescore = encoder === "fast" ? undefined : await engine.embedQuery(collection, query);
  return { vector: fast ?? rescore, rescore };
}

/** One side alone keeps its own scores: cosine or BM25. */
function rank(
  { mode, fusion }: SearchPlan,
  sides: { semantic: Ranked[]; keyword: Ranked[] },
  confidence: number,
): Fused[] {
  if (mode === "hybrid") return fuse(sides, { ...fusion, keywordConfidence: confidence });
  const alone = fuse(sides, { method: "rrf", weight: mode === "semantic" ? 1 : 0 });
  return alone.map((one) => ({
    ...one,
    score: one.semantic ?? one.keyword ?? 0,
    semanticShare: 0,
    keywordShare: 0,
  }));
}

/** The page that was asked for, filled up with documents that match the filter and have no vector yet. */
async function fetchPage(
  { store, memory }: { store: StoreRead; memory: ReadMemory },
  plan: SearchPlan,
  { fused }: Found,
): Promise<{ page: Fused[]; chunks: Map<number, ChunkHit> }> {
  const { k, offset, mode, minScore } = plan;
  const good = fused.filter((one) => one.score >= minScore);
  const page = good.slice(offset, offset + k);
  if (mode !== "keyword" && plan.groupBy === "document" && UNSEEN_SCORE[mode] >= minScore) {
    page.push(
      ...(await unseen(store, plan, {
        fused,
        missing: k - page.length,
        score: UNSEEN_SCORE[mode],
      })),
    );
  }
  return { page, chunks: await memory.hits(page.map((one) => one.chunkKey)) };
}

async function unseen(
  store: StoreRead,
  plan: SearchPlan,
  { fused, missing, score }: { fused: readonly Fused[]; missing: number; score: number },
): Promise<Fused[]> {
  if (missing <= 0) return [];
  const skip = Math.max(0, plan.offset - fused.length);
  const rows = await store.documentsMatching(plan.collection.key, {
    ...(plan.filter === undefined ? {} : { filter: plan.filter }),
    without: fused.map((one) => one.unit),
    limit: missing + skip,
  });
  const nothing = { semantic: null, keyword: null, semanticRank: null, keywordRank: null };
  return rows.slice(skip).map(({ documentKey, chunkKey }) => {
    return { unit: documentKey, chunkKey, score, semanticShare: 0, keywordShare: 0, ...nothing };
  });
}

function toHit(one: Fused, chunk: ChunkHit, plan: SearchPlan): Hit {
  const { fields } = plan;
  return {
    id: chunk.id,
    chunk: { index: chunk.position, start: chunk.start, end: chunk.end, heading: chunk.heading },
    score: one.score,
    ...(plan.explain ? { scores: toScores(one) } : {}),
    ...(fields.has("title") ? { title: chunk.title } : {}),
    ...(fields.has("text") ? { text: chunk.text } : {}),
    highlights: plan.highlight ? highlights(chunk, plan) : [],
    ...(fields.has("metadata") ? { metadata: chunk.metadata } : {}),
  };
}

function toScores(one: Fused): NonNullable<Hit["scores"]> {
  return {
    semantic: one.semantic,
    keyword: one.keyword,
    semantic_share: one.semanticShare,
    keyword_share: one.keywordShare,
    semantic_rank: one.semanticRank,
    keyword_rank: one.keywordRank,
  };
}

function highlights(chunk: ChunkHit, { keyword, fields }: SearchPlan): Hit["highlights"] {
  return (["title", "text"] as const).flatMap((field) => {
    const text = fields.has(field) ? chunk[field] : null;
    const spans = text === null ? [] : (keyword?.spans(text) ?? []);
    return spans.map((span) => ({ field, ...span }));
  });
}

async function extras(
  deps: Pick<FindDeps, "store" | "filterSets">,
  plan: SearchPlan,
  found: Found,
): Promise<Pick<SearchResult, "total_estimate" | "facets" | "explain">> {
  const scope = plan.filter === undefined ? {} : { filter: plan.filter };
  const facets: [string, { value: unknown; count: number }[]][] = [];
  for (const { name, path } of plan.facets) {
    const options = { path, ...scope, limit: limits.facetValuesMax };
    facets.push([name, await deps.store.facet(plan.collection.key, options)]);
  }
  return {
    ...(facets.length > 0 ? { facets: Object.fromEntries(facets) } : {}),
    ...(plan.explain
      ? { total_estimate: await countMatching(deps, plan), explain: explanation(plan, found) }
      : {}),
  };
}

async function countMatching(
  deps: Pick<FindDeps, "store" | "filterSets">,
  plan: SearchPlan,
): Promise<number> {
  const { mode, keyword, filter, collection } = plan;
  if (mode !== "keyword") return deps.store.countDocuments(collection.key, filter);
  return keyword === undefined || keyword.empty ? 0 : keyword.count(await scopeOf(deps, plan));
}

function explanation(
  { mode, fusion, keyword, encoder }: SearchPlan,
  { candidates, timings, confidence }: Found,
): Record<string, unknown> {
  return {
    mode,
    ...(mode === "keyword" ? {} : { query_encoder: encoder }),
    ...(mode === "hybrid" ? { fusion, keyword_confidence: confidence } : {}),
    terms: keyword?.terms ?? [],
    candidates,
    timings,
  };
}

function milliseconds(start: number): number {
  return Math.round((performance.now() - start) * 1000) / 1000;
}
