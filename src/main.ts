import { BUILDER_CHILD_COMMAND, EMBEDDING_CHILD_COMMAND } from "./engine/child-command.ts";

const args = process.argv.slice(2);
if (args[0] === EMBEDDING_CHILD_COMMAND) {
  const { runEmbeddingChild } = await import("./engine/embedding-child.ts");
  await runEmbeddingChild();
}
if (args[0] === BUILDER_CHILD_COMMAND) {
  const { runBuilderChild } = await import("./engine/builder-child.ts");
  await runBuilderChild();
}
const { run } = await import("./cli/run.ts");
process.exit(await run(args));
