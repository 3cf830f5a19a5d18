import { withTarget } from "./command-context.ts";
import { runJob } from "./follow-job.ts";
import { printResult, say } from "./output.ts";

interface ReindexOptions {
  /** Make the vectors anew too. */
  embed?: boolean;
  json?: boolean;
}

/** Makes a collection's index anew and waits for it; 1 where that has failed, or was stopped. @throws ApiError */
export async function reindexCommand(
  collection: string,
  { embed = false, json = false }: ReindexOptions,
): Promise<number> {
  const path = `/api/v1/collections/${encodeURIComponent(collection)}/reindex`;
  const query = embed ? "?embed=all" : "";
  const job = await withTarget((target) => runJob(target, path + query, "reindex"), {
    jobs: true,
  });
  if (json) printResult(JSON.stringify(job));
  else if (job.state === "succeeded") {
    printResult(
      `${collection}  ${job.progress.done} ${job.progress.unit}  ${sentence(job.result)}`,
    );
  }
  if (job.state === "succeeded") return 0;
  say(`slipstream: ${collection} is not done: ${job.error?.detail ?? `the job is ${job.state}`}`);
  return 1;
}

/** What a comparison with the database has found. */
function sentence(result: Record<string, unknown> | null): string {
  const problems = result?.["problems"];
  const isRight = !Array.isArray(problems) || problems.length === 0;
  return isRight ? "Nothing is wrong." : problems.join("; ");
}
