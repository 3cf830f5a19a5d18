import { join, resolve } from "node:path";
import { readHolder } from "../../src/store/local/lock.ts";

/** The program as it is run from source. */
export const FROM_SOURCE: readonly string[] = [
  process.execPath,
  join(import.meta.dir, "../../src/main.ts"),
];

/** How often a condition is looked at. Short beside what is waited for, so that no test gets slower by it. */
const POLL_MS = 2;
/** A condition that has not come by then is a failure; a loaded CI machine is several times slower than a quiet one. */
const DEADLINE_MS = 30_000;

export interface StartOptions {
  /** Where the program is started: relative settings such as DATA_DIR, and a `.env` file, count from there. */
  cwd: string;
  /** Settings. Nothing but PATH comes from the environment of the tests. */
  env?: Readonly<Record<string, string>>;
  /** What stands before the arguments; the program from source by default. */
  command?: readonly string[];
}

/** A program that runs. Disposing kills it, if it still runs, and waits for its end. */
export interface RunningProgram extends AsyncDisposable {
  readonly pid: number;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  signal(signal: NodeJS.Signals): void;
  /** As `signal`, to its process group: what a terminal does at Ctrl-C. */
  signalGroup(signal: NodeJS.Signals): void;
  /** The exit code, 128 and the signal's number where one ended it; all output has been read by then. */
  readonly exited: Promise<number>;
}

/** Starts a program in a process group of its own, with nothing on stdin. */
export function startProgram(args: readonly string[], options: StartOptions): RunningProgram {
  const { cwd, env = {}, command = FROM_SOURCE } = options;
  const child = Bun.spawn([...command, ...args], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const exited = Promise.all([child.exited, stdout.ended, stderr.ended]).then(([code]) => code);
  return {
    pid: child.pid,
    stdout: () => stdout.text,
    stderr: () => stderr.text,
    signal: (signal) => child.kill(signal),
    signalGroup: (signal) => void process.kill(-child.pid, signal),
    exited,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

export interface FinishedProgram {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. */
export async function runProgram(
  args: readonly string[],
  options: StartOptions,
): Promise<FinishedProgram> {
  await using program = startProgram(args, options);
  const exitCode = await program.exited;
  return { exitCode, stdout: program.stdout(), stderr: program.stderr() };
}

export interface ServerProgram extends RunningProgram {
  readonly url: string;
}

/**
 * Runs `serve` on a free port and resolves when it listens, as `holder.json` of its data directory says. Its log is
 * JSON Lines on stdout unless `env` says else. @throws Error with what it wrote to stderr where it ends before that
 */
export async function startServerProgram(
  dataDir: string,
  options: StartOptions,
): Promise<ServerProgram> {
  const env = { DATA_DIR: dataDir, PORT: "0", LOG_FORMAT: "json", ...options.env };
  const program = startProgram(["serve"], { ...options, env });
  let ended = false;
  void program.exited.then(() => (ended = true));
  const url = await eventually("the server listens", () => {
    if (ended) throw new Error(`the server ended: ${program.stderr()}${program.stdout()}`);
    const holder = readHolder(resolve(options.cwd, dataDir));
    return holder?.pid === program.pid ? (holder.url ?? undefined) : undefined;
  }).catch(async (error: unknown) => {
    await program[Symbol.asyncDispose]();
    throw error;
  });
  return Object.assign(program, { url });
}

/** The log lines of a program that writes JSON Lines to stdout. @throws SyntaxError where a whole line is none */
export function logLines(program: RunningProgram): Record<string, unknown>[] {
  const whole = program.stdout().split("\n").slice(0, -1);
  return whole.map((line) => {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) throw new Error(`${line} is no JSON object`);
    return { ...value };
  });
}

/** Resolves with the first log line of this event. */
export function logged(program: RunningProgram, event: string): Promise<Record<string, unknown>> {
  return eventually(`the log has ${event}`, () =>
    logLines(program).find((line) => line["event"] === event),
  );
}

/** Resolves with what `look` gives once it gives something. @throws Error that names what did not come in time */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  { everyMs = POLL_MS, withinMs = DEADLINE_MS }: { everyMs?: number; withinMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await Bun.sleep(everyMs);
  }
}

/** Text of a stream as it comes. */
function collect(stream: ReadableStream<Uint8Array>): { text: string; ended: Promise<void> } {
  const collected = { text: "", ended: Promise.resolve() };
  const decoder = new TextDecoder();
  collected.ended = (async () => {
    for await (const part of stream) collected.text += decoder.decode(part, { stream: true });
  })();
  return collected;
}
