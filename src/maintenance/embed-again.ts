import { setImmediate as nextTurn } from "node:timers/promises";
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { embeddedText } from "../engine/embedded-text.ts";
import { findModel, NO_MODEL } from "../engine/engine.ts";
import type { Engines } from "../engine/engines.ts";
import { checkedIndex } from "./checked-index.ts";
import type { JobContext } from "../jobs/job-kind.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { ChunkVector, CollectionRow, PendingChunk, Store } from "../store/store.ts";
import { getLogger } from "../telemetry/logs.ts";

const log = getLogger("maintenance");

export interface EmbedAgainDeps {
  store: Store;
  engines: Pick<Engines, "embedPassages" | "room" | "compact" | "check">;
  /** What is remembered of collections, here and in the engines. */
  collections: { forget(): void };
}

/** By which weights chunks were embedded, and the old key of the last of them: one that moves says that a try got further. */
const CheckpointSchema = Type.Object({ modelSha256: Type.String(), chunkKey: Type.Integer() });

/**
 * The hash of the weights by which a collection can be embedded. @throws Problem `vector_required` where its vectors are the
 * caller's, `unknown_model`, `dimensions_mismatch` where the model gives vectors of another length now
 */
export function requireModelOf({ model, dimensions }: CollectionRow): string {
  if (model === NO_MODEL) {
    throw new Problem(
      "vector_required",
      "This collection has no model: its vectors are the caller's, who has to send others.",
    );
  }
  const info = findModel(model);
  if (info.dimensions !== dimensions) {
    throw new Problem(
      "dimensions_mismatch",
      `${model} has ${info.dimensions} dimensions now, and the collection ${dimensions}: make a new one and ingest again.`,
    );
  }
  return info.sha256;
}

/**
 * Embeds every chunk again, oldest first, a page at a time: each gets its new vector in the step in which it loses the old
 * one, so that words find it all the time and no document ever waits. Where the weights are other ones, searches by meaning
 * are refused until all is done, and with the same weights they go on. What is done is in the store: another try, another
 * job and another process go on with what is left.
 */
export async function embedAgain(
  deps: EmbedAgainDeps,
  collection: CollectionRow,
  context: JobContext,
): Promise<Record<string, unknown>> {
  const { key, name } = collection;
  const modelSha256 = requireModelOf(collection);
  if (!isDone(collection, modelSha256, context.checkpoint)) {
    await embedAll(deps, { collection, modelSha256 }, context);
    log.info("collection.embedded_again", { collection: name, model: collection.model });
  }
  // Every row of the old files is dead now, and what is written has none.
  await deps.engines.compact(key);
  context.signal.throwIfAborted();
  const checked = await checkedIndex(deps.engines, collection);
  const { chunks } = await deps.store.counts(key);
  return { chunks, ...checked };
}

/** An earlier try may have come to the end of it, and not of the job. */
function isDone(
  { embedAgain: state }: CollectionRow,
  modelSha256: string,
  checkpoint: unknown,
): boolean {
  if (state !== "no" || !Value.Check(CheckpointSchema, checkpoint)) return false;
  return checkpoint.modelSha256 === modelSha256;
}

async function embedAll(
  deps: EmbedAgainDeps,
  { collection, modelSha256 }: { collection: CollectionRow; modelSha256: string },
  { job, signal, report }: JobContext,
): Promise<void> {
  const { store, collections } = deps;
  const { key } = collection;
  const { upTo, chunks: left } = await store.beginEmbedAgain(key, modelSha256);
  collections.forget();
  const total = Math.max(job.total ?? 0, left);
  let done = total - left;
  report({ done, total });
  for (let after = 0; ;) {
    signal.throwIfAborted();
    const limit = limits.chunksEmbeddedAgainMax;
    const page = await store.chunksUpTo({ collectionKey: key, after, upTo, limit });
    const last = page.at(-1);
    if (last === undefined) break;
    // Those that wait are passed over: these weights embed them, now or later.
    const chunks = page.filter(({ isPending }) => !isPending);
    if (chunks.length > 0) await embedPage(deps, { collection, chunks, signal });
    else await nextTurn();
    done = Math.min(total, done + page.length);
    report({ done, total, checkpoint: { modelSha256, chunkKey: last.key } });
    after = last.key;
  }
  await store.endEmbedAgain(key);
  report({ done: total, total, checkpoint: { modelSha256, chunkKey: upTo } });
  // What waits can be embedded now.
  collections.forget();
}

async function embedPage(
  { store, engines }: EmbedAgainDeps,
  {
    collection,
    chunks,
    signal,
  }: { collection: CollectionRow; chunks: readonly PendingChunk[]; signal: AbortSignal },
): Promise<void> {
  const batches: Promise<ChunkVector[]>[] = [];
  for (let start = 0; start < chunks.length; start += limits.embeddingBatchMax) {
    const batch = chunks.slice(start, start + limits.embeddingBatchMax);
    batches.push(embedBatch(engines, { model: collection.model, chunks: batch, signal }));
  }
  const vectors = (await Promise.all(batches)).flat();
  await engines.room(collection.key);
  await store.embedAgain(collection.key, vectors);
}

async function embedBatch(
  engines: Pick<Engines, "embedPassages">,
  {
    model,
    chunks,
    signal,
  }: { model: string; chunks: readonly PendingChunk[]; signal: AbortSignal },
): Promise<ChunkVector[]> {
  const texts = chunks.map(({ title, text }) => embeddedText(title, text));
  const vectors = await engines.embedPassages({ model, texts, signal });
  return chunks.map(({ key }, index) => ({ key, vector: vectors[index] }));
}
