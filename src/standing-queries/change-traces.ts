import { limits } from "../limits.ts";
import type { CarriedTrace } from "../telemetry/trace-context.ts";
import { currentTrace } from "../telemetry/traces.ts";

/**
 * Which traces documents were changed in last, so that who hears of a match of one goes on with its trace. A match may be
 * told before its write is answered, or long after, when there is a vector.
 */
export interface ChangeTraces {
  /** Documents are being changed by what runs now. Does nothing where traces are off. */
  changing(collectionKey: number, ids: readonly string[]): void;
  /** Undefined where no trace is known. */
  of(collectionKey: number, id: string): CarriedTrace | undefined;
  /** Documents whose trace is known. */
  readonly size: number;
}

/** Of more documents than are remembered, the one changed longest ago is forgotten. */
export function createChangeTraces(documentsMax: number = limits.webhookTracesMax): ChangeTraces {
  const traces = new Map<string, CarriedTrace>();
  return {
    changing(collectionKey, ids) {
      const trace = currentTrace();
      if (trace === undefined) return;
      for (const id of ids) {
        const key = keyOf(collectionKey, id);
        // Behind all others.
        traces.delete(key);
        traces.set(key, trace);
      }
      for (const first of traces.keys()) {
        if (traces.size <= documentsMax) return;
        traces.delete(first);
      }
    },
    of: (collectionKey, id) => traces.get(keyOf(collectionKey, id)),
    get size() {
      return traces.size;
    },
  };
}

function keyOf(collectionKey: number, id: string): string {
  return `${collectionKey}/${id}`;
}
