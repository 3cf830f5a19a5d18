import { Value } from "@sinclair/typebox/value";
import { CompactReportSchema, VerifyReportSchema } from "../contract/maintenance.ts";
import { withTarget } from "./command-context.ts";
import { printResult } from "./output.ts";
import { readAnswer } from "./target.ts";

/** Compares the indexes with the database; 1 where something is wrong. */
export async function verifyCommand({ json }: { json?: boolean }): Promise<number> {
  const answer = await post("/api/v1/admin/verify");
  const report = Value.Parse(VerifyReportSchema, answer);
  if (json) {
    printResult(JSON.stringify(report));
    return report.ok ? 0 : 1;
  }
  for (const problem of report.database.problems) printResult(`database: ${problem}`);
  for (const { name, chunks, vectors, words, problems } of report.collections) {
    printResult(`${name}: ${chunks} chunks, ${vectors} vectors, ${words} with words`);
    for (const problem of problems) printResult(`${name}: ${problem}`);
  }
  printResult(report.ok ? "Nothing is wrong." : "Something is wrong.");
  return report.ok ? 0 : 1;
}

/** Merges segments and gives free space back. */
export async function compactCommand({ json }: { json?: boolean }): Promise<void> {
  const report = Value.Parse(CompactReportSchema, await post("/api/v1/admin/compact"));
  if (json) {
    printResult(JSON.stringify(report));
    return;
  }
  printResult(
    `${report.segments} segments; ${megabytes(report.bytes_before)} before, ${megabytes(report.bytes_after)} after.`,
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function post(path: string): Promise<unknown> {
  return withTarget(async (target) => readAnswer(await target.call(path, { method: "POST" })));
}
