import { Value } from "@sinclair/typebox/value";
import { JobDetailsSchema, JobSchema, type JobDetails } from "../contract/jobs.ts";
import { ProgressBar } from "./progress.ts";
import { readAnswer, type Target } from "./target.ts";

const POLL_MS = 200;

/** A job of the server's. @throws ApiError where there is none */
export async function readJob(target: Target, id: string): Promise<JobDetails> {
  const answer = await target.call(`/api/v1/jobs/${encodeURIComponent(id)}`);
  return Value.Parse(JobDetailsSchema, await readAnswer(answer));
}

/** Asks for a job and waits for its end, with a bar on a terminal. `path` is what answers with the job. */
export async function runJob(target: Target, path: string, label: string): Promise<JobDetails> {
  const answer = await target.call(path, { method: "POST" });
  const { id } = Value.Parse(JobSchema, await readAnswer(answer));
  using bar = new ProgressBar(label, "done", process.stderr.isTTY);
  for (;;) {
    const job = await readJob(target, id);
    if (job.finished_at !== null) return job;
    const { done, total } = job.progress;
    bar.update({ done, total: total ?? 0, count: done });
    await Bun.sleep(POLL_MS);
  }
}
