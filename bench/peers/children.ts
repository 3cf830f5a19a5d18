import { createServer, connect } from "node:net";

const LISTEN_MS_MAX = 60_000;
/** What a process may take to end by itself. */
const END_MS_MAX = 10_000;

/** Process ids of the bench's own children. */
const running = new Set<number>();
// A bench that is interrupted leaves no server behind.
process.on("exit", () => {
  for (const pid of running) killIfThere(pid);
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

/** A process of the bench's own; disposing ends it and waits. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  readonly exited: Promise<number>;
}

/** Starts a process whose output goes to a file; it does not outlive this one. */
export function startChild(
  command: readonly string[],
  options: { log: string; env?: Record<string, string | undefined>; signal?: NodeJS.Signals },
): Child {
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...options.env },
    stdio: ["ignore", Bun.file(options.log), Bun.file(options.log)],
  });
  const { forget } = endWithUs(child.pid);
  return {
    pid: child.pid,
    exited: child.exited,
    async [Symbol.asyncDispose]() {
      child.kill(options.signal ?? "SIGTERM");
      const waiting = setTimeout(() => child.kill("SIGKILL"), END_MS_MAX);
      await child.exited;
      clearTimeout(waiting);
      forget();
    },
  };
}

/** Ends a child of this process with it, unless it is forgotten before because it has ended. */
export function endWithUs(pid: number): { forget: () => void } {
  running.add(pid);
  return { forget: () => void running.delete(pid) };
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** A port of the loopback address that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.on("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
  });
  return promise;
}

/** Resolves when a process listens on a port. @throws Error where it ends or does not come in time */
export async function listens(child: Child, port: number, log: string): Promise<void> {
  let ended = false;
  void child.exited.then(() => (ended = true));
  const deadline = performance.now() + LISTEN_MS_MAX;
  while (!(await accepts(port))) {
    if (ended || performance.now() > deadline) throw new Error(await Bun.file(log).text());
    await Bun.sleep(2);
  }
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1");
  socket.on("connect", () => {
    socket.destroy();
    resolve(true);
  });
  socket.on("error", () => resolve(false));
  return promise;
}
