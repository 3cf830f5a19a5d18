import { availableParallelism } from "node:os";

/** Server and clients each have a core of their own: a server's second thread must not look as if it cost nothing. */
export const cores = { server: 0, clients: 1 } as const;

/** Whether processes can be kept on one core each here. */
export const canPin = Bun.which("taskset") !== null && availableParallelism() > 1;

/** Keeps all threads of a process, and those it starts later, on one core; does nothing where that cannot be done. */
export function pinTo(core: number, pid: number): void {
  if (!canPin) return;
  const { exitCode, stderr } = Bun.spawnSync(["taskset", "-a", "-c", "-p", `${core}`, `${pid}`]);
  if (exitCode !== 0) throw new Error(`taskset: ${stderr.toString()}`);
}
