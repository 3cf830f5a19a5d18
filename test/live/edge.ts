import { parseConfig } from "../../src/config.ts";
import { createFront } from "../../src/http/front.ts";
import { listen } from "../../src/http/serve.ts";
import type { LiveFeatures } from "../../src/live/features.ts";
import { createLive, type Live } from "../../src/live/live.ts";
import { Problem } from "../../src/problems.ts";
import { createRooms, type Rooms } from "../../src/rooms/rooms.ts";
import { WriterStore } from "../../src/store/local/writer-store.ts";
import { tempDir } from "../support/temp-dir.ts";

export interface EdgeOptions {
  env?: Readonly<Record<string, string>>;
  /** Changes what connections can ask for: a search that takes as long as the test wants, a room that fails. */
  features?: (real: LiveFeatures) => LiveFeatures;
}

/** The live edge alone, over real rooms: for what a test must hold in its hand. */
export interface Edge extends AsyncDisposable {
  url: string;
  live: Live;
  rooms: Rooms;
  /** Connections that hear what is told under a topic. */
  listeners(topic: string): number;
}

export async function openEdge({
  env = {},
  features = (real) => real,
}: EdgeOptions = {}): Promise<Edge> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(tempDir());
  const store = stack.use(await WriterStore.open(dir.path));
  const rooms = stack.use(createRooms({ store }));
  const live = stack.use(createLive(parseConfig(env)));
  const front = createFront(() => new Response("here"), { state: "ready", steps: [] });
  const listening = listen(front, { host: "127.0.0.1", port: 0, live });
  stack.defer(() => listening.stop(0));
  const real = {
    rooms,
    queries: { open: nothing, listen: () => {}, listenEnds: () => {} },
    search: nothing,
    epoch: store.epoch,
  };
  live.start(features(real), listening.server);
  const owned = stack.move();
  return {
    url: listening.url,
    live,
    rooms,
    listeners: (topic) => listening.server.subscriberCount(topic),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function nothing(): Promise<never> {
  return Promise.reject(new Problem("collection_not_found", "There is none."));
}
