import { TASK_COMMAND } from "../engine/child-command.ts";
import { lowerPriority, niceness } from "../engine/lower-priority.ts";
import { spawnChild } from "../engine/spawn-child.ts";
import { fromFailure } from "../failure.ts";
import { Problem } from "../problems.ts";
import type { FromTask, ToTask } from "./task-messages.ts";

export interface TaskOptions {
  /** Of the task's own; plain data, as are items and the result. */
  args: unknown;
  signal: AbortSignal;
  /** Gets each item, and the next one comes when it has resolved. */
  onItem?: (item: never) => Promise<void>;
}

/** Runs a task by its name, in whatever process. */
export type RunTask = <Result>(name: string, options: TaskOptions) => Promise<Result>;

/**
 * Runs a task in a child of this program, behind everything else that the machine does: what takes long or much memory
 * costs neither the server's event loop nor, where it goes wrong, its life. The child is gone when the promise settles.
 * @throws the signal's reason; what the task or `onItem` throws; Problem `engine_lost` where the child ended early
 */
export async function runTask<Result>(
  name: string,
  { args, signal, onItem = async () => {} }: TaskOptions,
): Promise<Result> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const hear = async (message: FromTask): Promise<void> => {
    if (message.type === "failed") return reject(fromFailure(message.failure));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the child runs the same program: whoever names a task knows what it gives
    if (message.type === "done") return resolve(message.value as Result);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
    await onItem(message.value as never);
    send({ type: "more" });
  };
  const child = spawnChild<FromTask>({
    command: TASK_COMMAND,
    onMessage: (message) => void hear(message).catch(reject),
    onExit: (how) => reject(new Problem("engine_lost", `The child of a job ended (${how}).`)),
  });
  const send = (message: ToTask): void => {
    // One that has ended hears nothing, and its end is told.
    if (child.exitCode === null && !child.killed) child.send(message);
  };
  lowerPriority(child.pid, niceness.background);
  const stop = (): void => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    send({ type: "task", name, args });
    return await promise;
  } finally {
    signal.removeEventListener("abort", stop);
    child.kill("SIGKILL");
    await child.exited;
  }
}
