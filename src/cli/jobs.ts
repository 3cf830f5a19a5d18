import type { Static } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { JobSchema, type JobDescription } from "../contract/jobs.ts";
import { pageOf } from "../contract/shared.ts";
import { withTarget } from "./command-context.ts";
import { readJob } from "./follow-job.ts";
import { printResult } from "./output.ts";
import { readAnswer } from "./target.ts";

const page = pageOf(JobSchema);

interface ListOptions {
  state?: string;
  kind?: string;
  limit: string;
  json?: boolean;
}

/** The newest jobs, one line each. */
export async function listCommand({ json, ...options }: ListOptions): Promise<void> {
  const { items } = await withTarget(async (target): Promise<Static<typeof page>> => {
    const query = new URLSearchParams(Object.entries(options)).toString();
    return Value.Parse(page, await readAnswer(await target.call(`/api/v1/jobs?${query}`)));
  });
  if (json) printResult(JSON.stringify(items));
  else for (const job of items) printResult(lineOf(job));
}

/** One job with what it could not take. */
export async function showCommand(id: string, { json }: { json?: boolean }): Promise<void> {
  const job = await withTarget((target) => readJob(target, id));
  if (json) {
    printResult(JSON.stringify(job));
    return;
  }
  printResult(lineOf(job));
  if (job.result !== null) printResult(JSON.stringify(job.result));
  for (const { source, line, message } of job.first_errors) {
    printResult(`${source}${line === null ? "" : `:${line}`}: ${message}`);
  }
  const more = job.errors - job.first_errors.length;
  if (more > 0) printResult(`and ${more} more`);
}

/** @throws ApiError where there is none, or it has ended */
export async function cancelCommand(id: string): Promise<void> {
  const job = await withTarget(async (target) => {
    const path = `/api/v1/jobs/${encodeURIComponent(id)}/cancel`;
    return Value.Parse(JobSchema, await readAnswer(await target.call(path, { method: "POST" })));
  });
  printResult(job.cancelling ? `${id} is told to stop.` : `${id} is cancelled.`);
}

function lineOf(job: JobDescription): string {
  const { id, kind, state, collection, progress, errors, error, created_at } = job;
  const total = progress.total === null ? "" : ` of ${progress.total}`;
  const parts = [
    id,
    kind,
    state,
    ...(collection === null ? [] : [collection]),
    `${progress.done}${total} ${progress.unit}`,
    ...(errors === 0 ? [] : [`${errors} errors`]),
    ...(job.time_left_ms === null ? [] : [`${Math.ceil(job.time_left_ms / 1000)} s left`]),
    ...(error === null ? [] : [`${error.code}: ${error.detail}`]),
    created_at,
  ];
  return parts.join("  ");
}
