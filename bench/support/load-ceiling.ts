/**
 * What the load generator itself can do: load on a bare server that answers a constant. `bun bench/support/load-ceiling.ts`
 */
import { LoadGenerator, type LoadReport } from "./load.ts";
import { requestBytes } from "./load-answer.ts";

/** As long as a search with a vector of 384 numbers, and as its answer. */
const REQUEST = { k: 10, vector: Array.from({ length: 384 }, (_, at) => at / 1e8 + 0.0512345) };
const ANSWER = `{"hits":[${'{"id":"d12345","score":0.87654321},'.repeat(25)}{}]}`;

/** The generator against a server of this file that reads the body's text and answers a constant, at 1 and 16. */
export async function measureCeiling(
  generator: LoadGenerator,
  seconds: number,
): Promise<{ c1: LoadReport; c16: LoadReport }> {
  await using server = startOwnServer();
  const url = await server.url;
  const requests = [requestBytes(`${url}/`, REQUEST)];
  const job = { url, requests, seconds, warmUpSeconds: 0.5, expect: '"hits"' };
  const c1 = await generator.run({ ...job, connections: 1 });
  const c16 = await generator.run({ ...job, connections: 16 });
  return { c1, c16 };
}

/** This file again, as a server that tells its address by IPC. */
function startOwnServer(): AsyncDisposable & { url: Promise<string> } {
  const listening = Promise.withResolvers<string>();
  const child = Bun.spawn([process.execPath, import.meta.path, "--serve"], {
    stdio: ["ignore", "inherit", "inherit"],
    ipc: (url: string) => listening.resolve(url),
    onExit: () => listening.reject(new Error("the constant server ended")),
  });
  return {
    url: listening.promise,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}

function serve(): void {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    async fetch(request) {
      await request.text();
      return new Response(ANSWER, { headers: { "content-type": "application/json" } });
    },
  });
  process.send?.(server.url.origin);
}

if (import.meta.main) {
  if (process.argv.includes("--serve")) serve();
  else {
    await using generator = LoadGenerator.start();
    console.table(await measureCeiling(generator, 3));
  }
}
