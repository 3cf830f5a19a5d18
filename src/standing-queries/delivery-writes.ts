import { limits } from "../limits.ts";
import type { QueuedDeliveries, StoredQueryWrite } from "../store/stored-query-store.ts";
import type { Clock } from "../rooms/clock.ts";

interface Waiting {
  queued: QueuedDeliveries;
  resolve: (written: boolean) => void;
  reject: (reason: unknown) => void;
}

/**
 * Puts matches into the queues of webhooks, those of many queries in one write: a document may match thousands of them. One
 * write at a time, so that what comes meanwhile goes together into the next. Resolves after COMMIT with what the store says.
 */
export function createDeliveryWrites(
  store: Pick<StoredQueryWrite, "queueDeliveries">,
  clock: Clock,
): (queued: QueuedDeliveries) => Promise<boolean> {
  const waiting: Waiting[] = [];
  let running = false;
  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, sliceOf(waiting));
      try {
        const queued = batch.map((one) => one.queued);
        const written = await store.queueDeliveries(queued, clock.now());
        for (const [index, { resolve }] of batch.entries()) resolve(written[index] ?? false);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = false;
  };
  return (queued) => {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    waiting.push({ queued, resolve, reject });
    if (!running) {
      running = true;
      // What else was told in this turn goes along.
      setImmediate(() => void run());
    }
    return promise;
  };
}

/** How many of those that wait fit into a write, one at least. */
function sliceOf(waiting: readonly Waiting[]): number {
  let characters = 0;
  for (const [index, { queued }] of waiting.entries()) {
    for (const { body } of queued.deliveries) characters += body.length;
    const isFull =
      index >= limits.webhookQueriesPerWriteMax || characters > limits.webhookCharactersPerWriteMax;
    if (isFull && index > 0) return index;
  }
  return waiting.length;
}
