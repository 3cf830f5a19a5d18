import { metrics } from "../telemetry/metrics.ts";
import { traced } from "../telemetry/traces.ts";
import type { EmbedBatch } from "./passages.ts";

const texts = metrics.counter("embedding_texts_total");
const passageTexts = texts.of({ kind: "passage" });
const queryTexts = texts.of({ kind: "query" });
const durations = metrics.histogram("embedding_batch_duration_seconds").of({});
const failures = metrics.counter("embedding_failures_total").of({});

/** Counts one query's text. */
export function countQueryText(): void {
  queryTexts.add(1);
}

/** As `embed`, with its batches counted and timed. */
export function countedEmbed(embed: EmbedBatch): EmbedBatch {
  return async (model, batch) => {
    const start = performance.now();
    try {
      const vectors = await traced("embed.passages", () => embed(model, batch));
      passageTexts.add(batch.length);
      return vectors;
    } catch (error) {
      failures.add(1);
      throw error;
    } finally {
      durations.record((performance.now() - start) / 1000);
    }
  };
}
