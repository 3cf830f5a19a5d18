import { getLogger } from "../../telemetry/logs.ts";
import type { StoreEvent } from "./store-events.ts";

const log = getLogger("store");

/** Logs an event of the store in this thread. */
export function logEvent({ level, event, fields = {} }: StoreEvent): void {
  log[level](event, fields);
}
