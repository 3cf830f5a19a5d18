import { BUILDER_CHILD_COMMAND, ENGINE_COMMAND, TASK_COMMAND } from "./engine/child-command.ts";

const args = process.argv.slice(2);
if (args[0] === ENGINE_COMMAND) {
  const { runEngineChild } = await import("./boot/engine-child.ts");
  await runEngineChild();
}
if (args[0] === BUILDER_CHILD_COMMAND) {
  const { runBuilderChild } = await import("./engine/builder-child.ts");
  await runBuilderChild();
}
if (args[0] === TASK_COMMAND) {
  const { runTaskChild } = await import("./boot/task-child.ts");
  await runTaskChild();
}
const { run } = await import("./cli/run.ts");
process.exit(await run(args));
