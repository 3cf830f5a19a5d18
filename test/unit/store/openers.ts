import { LocalStore, type LocalStoreOptions } from "../../../src/store/local/local-store.ts";
import { WriterStore } from "../../../src/store/local/writer-store.ts";

/** Both stores over a data directory: all in this thread, and with a Worker that writes. */
export const OPENERS: readonly [string, (typeof LocalStore)["open"]][] = [
  ["LocalStore", (folder, options?: LocalStoreOptions) => LocalStore.open(folder, options)],
  ["WriterStore", (folder, options?: LocalStoreOptions) => WriterStore.open(folder, options)],
];

export type Opener = (typeof OPENERS)[number][1];
