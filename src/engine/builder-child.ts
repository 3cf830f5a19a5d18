import { buildSegment, type BuiltSegment } from "../segments/build.ts";
import { runSteps } from "../segments/run-steps.ts";
import type { BuildJob } from "../segments/segment-kind.ts";
import { kindOf } from "./index-kinds.ts";
import { serveParent } from "./serve-parent.ts";

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
  return serveParent(({ id, job }: BuildRequest) => answer(id, job));
}

async function answer(id: number, job: BuildJob): Promise<BuildAnswer> {
  try {
    const kind = await kindOf(job);
    // In slices: a parent that was killed is noticed between two of them, and must not leave a build running.
    return { id, ok: true, built: await runSteps(buildSegment(kind, job)) };
  } catch (error) {
    return { id, ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}
