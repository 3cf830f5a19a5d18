import { fileURLToPath } from "node:url";
import type { Subprocess } from "bun";
import { logChildOutput } from "../telemetry/foreign-output.ts";
import { outsideRequests } from "../telemetry/logs.ts";

export interface ChildOptions<Message> {
  command: string;
  onMessage: (message: Message) => void;
  /** `how` says in words how it ended. */
  onExit: (how: string) => void;
}

/** Starts another process of this program for a hidden command, with IPC that carries typed arrays. */
export function spawnChild<Message>({
  command,
  onMessage,
  onExit,
}: ChildOptions<Message>): Subprocess {
  const child = Bun.spawn([process.execPath, ...sourcePath(), command], {
    // The inference runtime reads this from the real environment only, and would write to the user's home without it.
    env: { ...process.env, ORT_DISABLE_TELEMETRY: "1" },
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe"],
    ipc: (message: Message) => onMessage(message),
    onExit: (_process, code, signal) =>
      onExit(signal === null ? `exit code ${code}` : `signal ${signal}`),
  });
  // Native libraries write there, around every log. A child outlives the request that it was started for.
  void outsideRequests(() => logChildOutput(child.stderr, { command }));
  return child;
}

/** What stands between the program and its arguments: nothing in a compiled binary, the script from source. */
function sourcePath(): string[] {
  const url = new URL("../main.ts", import.meta.url);
  return url.pathname.includes("$bunfs") || url.pathname.includes("~BUN")
    ? []
    : [fileURLToPath(url)];
}
