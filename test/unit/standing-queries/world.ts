import { openEmbedder } from "../../../src/embedding/open-embedder.ts";
import type { Embedder } from "../../../src/embedding/embedder.ts";
import { findModel } from "../../../src/engine/engine.ts";
import { WriterStore } from "../../../src/store/local/writer-store.ts";
import type { DocumentWrite, NewCollection } from "../../../src/store/store.ts";
import {
  StandingRegistry,
  type StandingQueriesOptions,
} from "../../../src/standing-queries/registry.ts";
import type { StandingQueryDefinition } from "../../../src/standing-queries/standing-queries.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION } from "../store/fixtures.ts";

export const MODEL = "static-256";

/** A frame as a client reads it. */
export interface Frame {
  type: "match" | "progress";
  sub: string;
  offset: number;
  doc: string;
  version: number;
  event: string;
  score: number | null;
  data: unknown;
  replay?: true;
}

export function asFrame(text: string): Frame {
  const frame: Frame = JSON.parse(text);
  return frame;
}

export type WorldOptions = Partial<Omit<StandingQueriesOptions, "store" | "folder">> & {
  collection?: Partial<NewCollection>;
};

/** Standing queries over a real store, with the small model; vectors are written when a test says so. */
export interface World extends AsyncDisposable {
  readonly folder: string;
  store: WriterStore;
  queries: StandingRegistry;
  /** Of the collection `news`. */
  collectionKey: number;
  /** Frames told so far, in order. */
  told: Frame[];
  /** Writes documents of one chunk each; their text is the rest. */
  put(
    documents: Readonly<Record<string, string>>,
    metadata?: Record<string, unknown>,
  ): Promise<void>;
  /** Gives vectors to the chunks that wait, or to those of one document. */
  embed(id?: string): Promise<void>;
  remove(...ids: string[]): Promise<void>;
  open(definition: Partial<StandingQueryDefinition>): ReturnType<StandingRegistry["open"]>;
  /** Resolves when as many frames were told. */
  heard(count: number): Promise<Frame[]>;
  /** Closes all and opens it again over the same data. */
  restart(): Promise<void>;
}

let embedder: Promise<Embedder> | undefined;

/** One for all tests of a file: nothing of it is any test's own. */
export function smallModel(): Promise<Embedder> {
  return (embedder ??= openEmbedder(MODEL));
}

export function written(
  id: string,
  text: string,
  metadata: Record<string, unknown> = {},
): DocumentWrite {
  const chunks = [{ start: 0, end: text.length, heading: null }];
  return { id, title: `Title of ${id}`, text, metadata, chunks };
}

export async function openWorld({ collection, ...options }: WorldOptions = {}): Promise<World> {
  const dir = tempDir();
  const model = await smallModel();
  const embed = (_model: string, texts: readonly string[]) => model.embed(texts);
  const openStore = () => WriterStore.open(dir.path);
  const openQueries = (store: WriterStore, told: Frame[]): StandingRegistry => {
    // No progress is told in between, where a test does not ask for it.
    const roundMs = 3_600_000;
    const queries = new StandingRegistry({ store, folder: dir.path, embed, roundMs, ...options });
    queries.listen((sub, text, offset) => {
      const frame = asFrame(text);
      if (frame.sub !== sub || frame.offset !== offset) throw new Error("the frame is another's");
      told.push(frame);
    });
    return queries;
  };
  const store = await openStore();
  const { key } = await store.createCollection({
    ...COLLECTION,
    name: "news",
    model: MODEL,
    modelSha256: findModel(MODEL).sha256,
    dimensions: 256,
    ...collection,
  });
  const told: Frame[] = [];
  const world: World = {
    folder: dir.path,
    store,
    queries: openQueries(store, told),
    collectionKey: key,
    told,
    async put(documents, metadata) {
      const writes = Object.entries(documents).map(([id, text]) => written(id, text, metadata));
      await world.store.writeDocuments(key, writes);
    },
    async embed(id) {
      const pending = await world.store.pending({ after: 0, limit: 1000 });
      const mine =
        id === undefined ? pending : pending.filter(({ title }) => title === `Title of ${id}`);
      const vectors = await model.embed(mine.map(({ text }) => text));
      await world.store.writeVectors(
        key,
        mine.map((chunk, index) => ({ key: chunk.key, vector: vectors[index] })),
      );
    },
    remove: async (...ids) => void (await world.store.deleteDocuments(key, ids)),
    open: (definition) =>
      world.queries.open({ text: "tyres", collection: "news", mode: "keyword", ...definition }),
    heard: (count) =>
      eventually(`${count} frames are told`, () => (told.length >= count ? told : undefined)),
    async restart() {
      await world.queries[Symbol.asyncDispose]();
      await world.store[Symbol.asyncDispose]();
      world.store = await openStore();
      world.queries = openQueries(world.store, told);
    },
    async [Symbol.asyncDispose]() {
      await world.queries[Symbol.asyncDispose]();
      await world.store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
  return world;
}

/** All frames of a replay, page by page. */
export async function replayed(
  { stream }: Awaited<ReturnType<World["open"]>>,
  after: number,
  { framesMax = 1000, bytesMax = 1e6 } = {},
): Promise<Frame[]> {
  const frames: Frame[] = [];
  for (let at = after; at < stream.head();) {
    const page = await stream.read({
      since: after,
      after: at,
      upTo: stream.head(),
      framesMax,
      bytesMax,
    });
    frames.push(...page.frames.map(asFrame));
    at = page.upTo;
  }
  return frames;
}
