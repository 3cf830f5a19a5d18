/**
 * The ceiling of a search over HTTP: a server that parses the body and asks usearch, with nothing around it. A process of
 * its own: `bun bench/support/load-bare-server.ts INDEX` tells its address by IPC.
 */
import { bareIndex } from "./vector-parts.ts";
import { DIMENSIONS } from "../peers/vectors.ts";

export interface BareServer extends AsyncDisposable {
  url: string;
}

/** Starts the server over a saved index of usearch's own, f16, searched as our segments are. */
export async function startBareServer(indexPath: string): Promise<BareServer> {
  const listening = Promise.withResolvers<string>();
  const child = Bun.spawn([process.execPath, import.meta.path, indexPath], {
    stdio: ["ignore", "inherit", "inherit"],
    ipc: (url: string) => listening.resolve(url),
    onExit: () => listening.reject(new Error("the bare server ended")),
  });
  return {
    url: await listening.promise,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}

function serve(indexPath: string): void {
  const index = bareIndex(DIMENSIONS);
  index.load(indexPath);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    async fetch(request) {
      const { vector, k }: { vector: number[]; k: number } = JSON.parse(await request.text());
      const { keys, distances } = index.search(new Float32Array(vector), k, 1);
      const hits = Array.from(keys, (key, at) => ({
        id: `d${key}`,
        score: 1 - (distances[at] ?? 0),
      }));
      return Response.json({ hits });
    },
  });
  process.send?.(server.url.origin);
}

if (import.meta.main) serve(Bun.argv[2] ?? "");
