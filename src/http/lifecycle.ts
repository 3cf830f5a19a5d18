import type { Step } from "../lib/timeline.ts";

/** Where the server stands: probes and the front ask it, boot and drain move it. */
export interface Lifecycle {
  state: "starting" | "ready" | "draining";
  /** What of the start is done. */
  steps: readonly Step[];
}
