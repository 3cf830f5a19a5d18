/** Whether the children of this process can be found: their ids come from ps. */
export const canListChildren = Bun.which("ps") !== null;

/** Ids of the processes that this one, or another, started for a hidden command of the program. */
export function childrenOf(command: string, parentPid = process.pid): number[] {
  const { stdout } = Bun.spawnSync(["ps", "-A", "-o", "pid=,ppid=,args="]);
  return stdout
    .toString()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent]) => Number(parent) === parentPid)
    .filter((columns) => columns.at(-1) === command)
    .map(([pid]) => Number(pid));
}

/** The one child of a command. @throws Error where there is none, or more than one */
export function onlyChildOf(command: string): number {
  const [pid, ...others] = childrenOf(command);
  if (pid === undefined || others.length > 0) throw new Error("there is not exactly one child");
  return pid;
}
