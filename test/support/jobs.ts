import type { Static } from "@sinclair/typebox";
import { JobDetailsSchema, JobSchema, type JobDetails } from "../../src/contract/jobs.ts";
import { eventually } from "./process.ts";
import { shaped } from "./server.ts";

/** Files by their names. */
export type Files = Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>;

/** Sends files to a collection as a browser's form does. */
export function uploadFiles(url: string, path: string, files: Files): Promise<Response> {
  const form = new FormData();
  for (const [name, content] of Object.entries(files))
    form.append("file", new File([content], name));
  return fetch(url + path, { method: "POST", body: form });
}

/** The job of an answer that must be 202. */
export async function jobOf(answer: Response): Promise<Static<typeof JobSchema>> {
  const text = await answer.text();
  if (answer.status !== 202) throw new Error(`answered ${answer.status}: ${text}`);
  return shaped(JobSchema, JSON.parse(text));
}

/** How a job is. */
export async function readJob(url: string, id: string): Promise<JobDetails> {
  const answer = await fetch(`${url}/api/v1/jobs/${id}`);
  return shaped(JobDetailsSchema, await answer.json());
}

/** Resolves with the job once it has come to one of these states. */
export function jobIn(url: string, id: string, states: readonly string[]): Promise<JobDetails> {
  return eventually(`job ${id} is ${states.join(" or ")}`, async () => {
    const job = await readJob(url, id);
    return states.includes(job.state) ? job : undefined;
  });
}

/** Resolves with the job once it has ended. */
export function jobEnded(url: string, id: string): Promise<JobDetails> {
  return jobIn(url, id, ["succeeded", "failed", "cancelled"]);
}
