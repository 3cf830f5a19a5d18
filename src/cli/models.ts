import { listModels, verifyModels } from "../embedding/open-embedder.ts";
import { Problem } from "../problems.ts";
import { printResult } from "./output.ts";

/** One line a model. */
export function listCommand({ json }: { json?: boolean }): void {
  const models = listModels();
  if (json) {
    printResult(JSON.stringify(models));
    return;
  }
  for (const { name, dimensions, tokensMax, licence } of models) {
    printResult(`${name}  ${dimensions} dimensions  up to ${tokensMax} tokens  ${licence}`);
  }
}

/** One line a file. @throws Problem `model_damaged` if one is not what the manifest says */
export async function verifyCommand(): Promise<void> {
  const checks = await verifyModels();
  for (const check of checks) {
    printResult(
      `${check.ok ? "ok     " : "DAMAGED"}  ${check.name}  ${check.file}${check.ok ? "" : `  ${check.message}`}`,
    );
  }
  const damaged = checks.filter((check) => !check.ok).length;
  if (damaged > 0)
    throw new Problem(
      "model_damaged",
      `${damaged} of ${checks.length} files differ from the manifest.`,
    );
}
