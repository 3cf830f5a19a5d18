import { buildSegment, type BuiltSegment } from "../segments/build.ts";
import { runSteps } from "../segments/run-steps.ts";
import type { BuildJob } from "../segments/segment-kind.ts";
import { kindOf } from "./index-kinds.ts";

export interface BuildRequest {
  id: number;
  job: BuildJob;
}

export type BuildAnswer =
  | { id: number; ok: true; built: BuiltSegment }
  | { id: number; ok: false; message: string };

/**
 * Builds segments for the parent until the parent goes. A graph takes minutes of one core and its library can crash:
 * here it costs neither the server's event loop nor its life.
 */
export function runBuilderChild(): Promise<never> {
  process.on("message", ({ id, job }: BuildRequest) => {
    void answer(id, job).then((reply) => process.send?.(reply));
  });
  // Heard between two slices of a build: a parent that was killed must not leave it running.
  process.on("disconnect", () => process.exit(0));
  process.on("SIGINT", () => {});
  return new Promise<never>(() => {});
}

async function answer(id: number, job: BuildJob): Promise<BuildAnswer> {
  try {
    const kind = await kindOf(job);
    return { id, ok: true, built: await runSteps(buildSegment(kind, job)) };
  } catch (error) {
    return { id, ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}
