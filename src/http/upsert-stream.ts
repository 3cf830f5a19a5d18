import type { Documents } from "../documents/documents.ts";
import type { Idempotency } from "../documents/idempotency.ts";
import { limits } from "../limits.ts";
import { Problem, PROBLEMS } from "../problems.ts";
import type { CollectionRow } from "../store/store.ts";
import { getLogger } from "../telemetry/logs.ts";
import { getBusinessMetrics } from "../telemetry/metrics.ts";
import { ndjsonLines, ndjsonResponse, type NdjsonLine } from "./ndjson.ts";
import { requireIdentity } from "./read-body.ts";
import { scopeOf } from "./request-scope.ts";

const log = getLogger("http");

const velocity = getBusinessMetrics().ingest_run_velocity;

interface StreamOptions {
  collection: CollectionRow;
  wait: boolean;
  key: string | undefined;
}

/** Lines that arrive together are written together, but none waits longer than this for others. */
const GATHER_MS = 20;

/**
 * Documents in, one a line, and one result a line back, in order, each after its COMMIT; the last line is a summary. A
 * failure of ours ends the stream with a problem as its last line: what was answered before it is written.
 */
export function upsertStream(
  deps: { documents: Documents; idempotency: Idempotency },
  request: Request,
  options: StreamOptions,
): Response {
  requireIdentity(request);
  const scope = scopeOf(request);
  scope.keepOpen();
  const { response, ended } = ndjsonResponse(results(deps, request, options));
  scope.runsUntil(ended);
  return response;
}

async function* results(
  { documents, idempotency }: { documents: Documents; idempotency: Idempotency },
  request: Request,
  { collection, wait, key }: StreamOptions,
): AsyncGenerator {
  let upserted = 0;
  let failed = 0;
  try {
    for await (const lines of gather(ndjsonLines(request.body ?? emptyBody()))) {
      const idOf = (index: number) =>
        key === undefined
          ? crypto.randomUUID()
          : idempotency.documentId(key, lines[index]?.line ?? 0);
      const inputs = lines.map((line) => (line.ok ? line.value : undefined));
      const { items } = await documents.upsert(collection, inputs, idOf);
      for (const [index, item] of items.entries()) {
        const line = lines[index];
        const error =
          line?.ok === false
            ? { code: line.problem.code, detail: line.problem.detail }
            : item.error;
        if (item.status === "failed") failed++;
        else upserted++;
        yield {
          line: line?.line ?? 0,
          id: item.id,
          status: item.status,
          ...(error === undefined ? {} : { error }),
        };
      }
    }
    if (wait) await documents.caughtUp(AbortSignal.timeout(limits.waitIndexedMsMax));
    const pending_embeddings = await documents.pending(collection);
    velocity.record(upserted, { collection: collection.name });
    yield { done: true, upserted, failed, sequence: documents.sequence(), pending_embeddings };
  } catch (error) {
    const { requestId: request_id } = scopeOf(request);
    const { code, detail } =
      error instanceof Problem ? error : new Problem("internal", "The stream ended early.");
    // The request's own log line was written when its answer began. A client that has gone is no failure of ours.
    if (request.signal.aborted) log.info("stream_broken_off", { request_id, upserted });
    else if (PROBLEMS[code].status >= 500)
      log.error("stream_failed", { request_id, upserted, error });
    yield { done: false, upserted, failed, error: { code, detail }, request_id };
  }
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {}

/** Groups lines: a full transaction's worth, or what came before the sender paused. */
async function* gather(lines: AsyncGenerator<NdjsonLine>): AsyncGenerator<NdjsonLine[]> {
  let group: NdjsonLine[] = [];
  let next = lines.next();
  for (;;) {
    const arrived = group.length === 0 ? await next : await orPause(next);
    if (arrived === "pause") {
      yield group;
      group = [];
      continue;
    }
    if (arrived.done === true) break;
    group.push(arrived.value);
    next = lines.next();
    if (group.length === limits.documentsPerTransactionMax) {
      yield group;
      group = [];
    }
  }
  if (group.length > 0) yield group;
}

async function orPause<T>(next: Promise<T>): Promise<T | "pause"> {
  const { promise, resolve } = Promise.withResolvers<"pause">();
  const timer = setTimeout(() => resolve("pause"), GATHER_MS);
  try {
    return await Promise.race([next, promise]);
  } finally {
    clearTimeout(timer);
  }
}
