import { toFailure } from "../failure.ts";
import type { FromTask, Task, ToTask } from "./task-messages.ts";

/**
 * Does the one task that the parent asks for, until the parent goes, however it went: its end of the pipe closes. A
 * terminal's Ctrl-C is the parent's to handle.
 */
export function serveTasks(tasks: Readonly<Record<string, Task>>): Promise<never> {
  let more = Promise.withResolvers<void>();
  const give = async (value: unknown): Promise<void> => {
    more = Promise.withResolvers();
    send({ type: "item", value });
    await more.promise;
  };
  process.on("message", (message: ToTask) => {
    if (message.type === "more") return more.resolve();
    run(tasks, message, give).then(
      (value) => send({ type: "done", value }),
      (error: unknown) => send({ type: "failed", failure: toFailure(error) }),
    );
  });
  process.on("disconnect", () => process.exit(0));
  process.on("SIGINT", () => {});
  return new Promise<never>(() => {});
}

function send(message: FromTask): void {
  process.send?.(message);
}

async function run(
  tasks: Readonly<Record<string, Task>>,
  { name, args }: Extract<ToTask, { type: "task" }>,
  give: (item: unknown) => Promise<void>,
): Promise<unknown> {
  const task = tasks[name];
  if (task === undefined) throw new Error(`there is no task ${name}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parent runs the same program: whoever names a task knows what it takes
  return task(args as never, give);
}
