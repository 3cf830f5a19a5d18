import type {
  Chunking,
  CollectionState,
  CreateCollection,
  Fusion,
  KeywordSettings,
} from "../contract/collections.ts";
import { findModel, hasSameWeights, NO_MODEL } from "../engine/engine.ts";
import type { Engines } from "../engine/engines.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { CollectionRow, NewCollection, Store, StoreRead } from "../store/store.ts";
import { getLogger } from "../telemetry/logs.ts";

const log = getLogger("collections");

export interface CollectionsDeps {
  store: Store;
  engines: Pick<Engines, "openCollection" | "dropCollection" | "report" | "forgetCollections">;
  /** Model of a collection that names none. */
  defaultModel: string;
  /** Hears of a collection that is gone, before its end is acknowledged. */
  onDropped?: (collectionKey: number) => void;
}

/** Share of the semantic side where a collection has no model of ours. */
const WEIGHT_WITHOUT_MODEL = 0.5;

const KEYWORD_DEFAULT: KeywordSettings = {
  language: "english",
  stop_words: true,
  title_weight: 1,
  text_weight: 1,
};

/**
 * Collections by their names, remembered until `forget`: a read after another connection's commit costs 30 to 100 µs,
 * and every request begins with this one.
 */
export function createCollectionReads(store: StoreRead) {
  // No name is in it that the store does not have, so there are at most as many as collections and aliases.
  const known = new Map<string, CollectionRow>();
  return {
    /** By name or alias. @throws Problem `collection_not_found` */
    async require(name: string): Promise<CollectionRow> {
      const row = known.get(name) ?? (await store.collection(name));
      if (row === undefined) {
        throw new Problem("collection_not_found", "No collection or alias has this name.");
      }
      known.set(name, row);
      return row;
    },
    /** To be called after every change of a collection or alias, before it is acknowledged. */
    forget: (): void => known.clear(),
  };
}

export type CollectionReads = ReturnType<typeof createCollectionReads>;

/** Create, configure, alias, drop. */
export function createCollections({ store, engines, defaultModel, onDropped }: CollectionsDeps) {
  const describe = (row: CollectionRow) => describeCollection({ store, engines }, row);
  const reads = createCollectionReads(store);
  const forget = (): void => {
    reads.forget();
    engines.forgetCollections();
  };
  return {
    ...reads,
    forget,
    describe,
    async create(input: CreateCollection): Promise<CollectionState> {
      const row = await store.createCollection(toNewCollection(input, defaultModel));
      // The name may have been another one's, which is still on its way out.
      forget();
      await engines.openCollection(row);
      log.info("collection.created", { collection: row.name, model: row.model });
      return describe(row);
    },
    async list({ limit, after }: { limit: number; after: string }): Promise<CollectionState[]> {
      const rows = (await store.collections()).filter((row) => row.name > after).slice(0, limit);
      return Promise.all(rows.map(describe));
    },
    async setFusion(row: CollectionRow, fusion: Fusion | undefined): Promise<CollectionState> {
      const next = fusion === undefined ? row.fusion : { ...row.fusion, ...fusion };
      await store.setFusion(row.key, next);
      forget();
      return describe((await store.collection(row.name)) ?? row);
    },
    async drop(row: CollectionRow): Promise<void> {
      const dropping = store.dropCollection(row.key);
      // Awaited below, when the indexes have let go.
      dropping.catch(() => {});
      await engines.dropCollection(row.key);
      await dropping;
      forget();
      onDropped?.(row.key);
      log.info("collection.dropped", { collection: row.name });
    },
    async putAlias(
      name: string,
      collection: string,
    ): Promise<{ name: string; collection: string }> {
      const row = await store.collection(collection);
      if (row === undefined)
        throw new Problem("collection_not_found", "The alias's collection does not exist.");
      await store.putAlias(name, row.key);
      forget();
      log.info("alias.set", { alias: name, collection: row.name });
      return { name, collection: row.name };
    },
    aliases: () => store.aliases(),
    async removeAlias(name: string): Promise<void> {
      if (!(await store.removeAlias(name)))
        throw new Problem("alias_not_found", "There is no alias of this name.");
      forget();
    },
  };
}

export type Collections = ReturnType<typeof createCollections>;

async function describeCollection(
  { store, engines }: Pick<CollectionsDeps, "store" | "engines">,
  row: CollectionRow,
): Promise<CollectionState> {
  const [counts, aliases] = await Promise.all([store.counts(row.key), store.aliases()]);
  const index = await engines.report(row.key);
  return {
    name: row.name,
    model: row.model,
    dimensions: row.dimensions,
    metric: row.metric,
    chunking: row.chunking,
    fusion: row.fusion,
    keyword: row.keyword,
    quantization: row.quantization,
    documents: counts.documents,
    chunks: counts.chunks,
    pending_embeddings: counts.pendingEmbeddings,
    weights_match: hasSameWeights(row) && row.embedAgain !== "other_weights",
    reclaimable_bytes: index?.reclaimableBytes ?? 0,
    segments: index?.segments ?? 0,
    index: {
      unsealed: index?.unsealed ?? 0,
      disk_bytes: index?.diskBytes ?? 0,
      memory_bytes: index?.heapBytes ?? 0,
      building: index?.building ?? false,
      building_rows: index?.buildingRows ?? 0,
      degraded: index !== undefined && (index.catchingUp || index.failures > 0),
    },
    aliases: aliases.filter((alias) => alias.collection === row.name).map((alias) => alias.name),
    created_at: row.createdAt,
    updated_at: row.updatedAt,
  };
}

function toNewCollection(input: CreateCollection, defaultModel: string): NewCollection {
  const model = input.model ?? defaultModel;
  const base = {
    name: input.name,
    model,
    metric: "cosine" as const,
    keyword: { ...KEYWORD_DEFAULT, ...input.keyword },
    quantization: input.quantization ?? ("i8" as const),
  };
  if (model === NO_MODEL) {
    if (input.dimensions === undefined) {
      throw new Problem("invalid_request", 'A collection with model "none" needs dimensions.', {
        errors: [
          { field: "/dimensions", message: "is required when the vectors are the caller's" },
        ],
      });
    }
    const chunking: Chunking = {
      strategy: "none",
      tokens_max: limits.chunkTokensMax,
      tokens_overlap: 0,
    };
    const fusion = { method: "weighted" as const, weight: WEIGHT_WITHOUT_MODEL, ...input.fusion };
    return { ...base, modelSha256: null, dimensions: input.dimensions, chunking, fusion };
  }
  const info = findModel(model);
  if (input.dimensions !== undefined && input.dimensions !== info.dimensions) {
    throw new Problem("dimensions_mismatch", `${info.name} has ${info.dimensions} dimensions.`, {
      errors: [{ field: "/dimensions", message: `must be ${info.dimensions} or left out` }],
    });
  }
  return {
    ...base,
    modelSha256: info.sha256,
    dimensions: info.dimensions,
    chunking: chunkingOf(input.chunking, info.tokensMax),
    fusion: { method: "weighted", weight: info.hybridWeight, ...input.fusion },
  };
}

function chunkingOf(input: Partial<Chunking> | undefined, windowTokens: number): Chunking {
  const tokens_max = Math.min(input?.tokens_max ?? limits.chunkTokensMax, windowTokens);
  const tokens_overlap = input?.tokens_overlap ?? 0;
  if (tokens_overlap * 2 > tokens_max) {
    throw new Problem("invalid_request", "Chunks may overlap by half their length at most.", {
      errors: [
        { field: "/chunking/tokens_overlap", message: "must be at most half of tokens_max" },
      ],
    });
  }
  return { strategy: input?.strategy ?? "auto", tokens_max, tokens_overlap };
}
