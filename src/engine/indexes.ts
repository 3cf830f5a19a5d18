import { existsSync, readdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { removePath } from "../segments/files.ts";
import type { CollectionRow, StoreRead } from "../store/store.ts";
import type { VectorEngine } from "../vectors/vector-kind.ts";
import {
  CollectionIndex,
  type FollowerRole,
  type IndexReport,
  type OwnerRole,
} from "./collection-index.ts";

export interface IndexesOptions {
  /** Folder of all indexes; made if it is missing. */
  folder: string;
  vectorEngine: VectorEngine;
  /** Words are indexed here; otherwise the store's own tables answer. */
  words: boolean;
  role: OwnerRole | FollowerRole;
  budgets: Budgets;
}

/** Past one of these, writes are refused. */
export interface Budgets {
  /** Heap and native bytes of all indexes. */
  memoryBytesMax: number;
  /** Heap and native bytes of one collection's. */
  collectionMemoryBytesMax: number;
  /** Bytes that stay free on the disk of the indexes. */
  diskFreeBytesMin: number;
}

/** What a collection's folder holds. */
const INDEX_FOLDERS = new Set(["vectors", "keyword"]);

/** How long one look at the disk's free space is believed. */
const diskLookMs = 1000;

/** The indexes of every collection. */
export class Indexes implements AsyncDisposable {
  readonly #options: IndexesOptions;
  readonly #store: StoreRead;
  readonly #byCollection = new Map<number, CollectionIndex>();
  readonly #opening = new Map<number, Promise<CollectionIndex>>();
  #disk = { lookedMs: -Infinity, freeBytes: Infinity };

  constructor(store: StoreRead, options: IndexesOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Removes the folders of collections that are no more: a crash may end a removal before it comes to them. */
  removeStrangers(collections: readonly CollectionRow[]): void {
    const { folder } = this.#options;
    const known = new Set(collections.map(({ key }) => String(key)));
    for (const entry of existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : []) {
      const { name } = entry;
      if (!entry.isDirectory() || known.has(name) || !/^\d+$/.test(name)) continue;
      const path = join(folder, name);
      // The folder is the operator's choice, and only what indexes are made of is ours.
      if (readdirSync(path).every((kind) => INDEX_FOLDERS.has(kind))) removePath(path);
    }
  }

  /** Opens a collection's indexes, which then follow its commits; `CollectionIndex.ready` tells when they are in step. */
  async open(collection: CollectionRow): Promise<CollectionIndex> {
    const known = this.#byCollection.get(collection.key);
    if (known !== undefined) return known;
    const opening =
      this.#opening.get(collection.key) ??
      CollectionIndex.open({ ...this.#options, store: this.#store, collection });
    this.#opening.set(collection.key, opening);
    try {
      const index = await opening;
      this.#byCollection.set(collection.key, index);
      return index;
    } finally {
      this.#opening.delete(collection.key);
    }
  }

  /**
   * Makes a collection's index files anew from the store, where they are this engine's, and opens them again. Resolves
   * when they are in step; searches find meanwhile what has been read.
   */
  async rebuild(collection: CollectionRow): Promise<void> {
    const { key } = collection;
    const old = await this.open(collection);
    this.#byCollection.delete(key);
    const opening = old
      .remove()
      .then(() => CollectionIndex.open({ ...this.#options, store: this.#store, collection }));
    this.#opening.set(key, opening);
    const index = await this.open(collection);
    await index.ready;
  }

  all(): CollectionIndex[] {
    return [...this.#byCollection.values()];
  }

  find(collectionKey: number): CollectionIndex | undefined {
    return this.#byCollection.get(collectionKey);
  }

  /**
   * @throws Problem `collection_not_found` for a collection that was dropped while a request had it in hand, `not_ready`
   * for one whose files are being removed to be made anew
   */
  of(collectionKey: number): CollectionIndex {
    const index = this.find(collectionKey);
    if (index !== undefined) return index;
    if (this.#opening.has(collectionKey)) {
      throw new Problem("not_ready", "The collection's index is being opened.", {
        retryAfterMs: 1000,
      });
    }
    throw new Problem("collection_not_found", "The collection was dropped meanwhile.");
  }

  /** Closes a collection's indexes and removes their files. */
  async drop(collectionKey: number): Promise<void> {
    const index = (await this.#opening.get(collectionKey)) ?? this.find(collectionKey);
    this.#byCollection.delete(collectionKey);
    await index?.remove();
  }

  /** Live vectors in all indexes. */
  get vectors(): number {
    return this.reports().reduce((sum, { vectors }) => sum + vectors, 0);
  }

  reports(): IndexReport[] {
    return [...this.#byCollection.values()].map((index) => index.report());
  }

  /**
   * Waits until there is room for another write, where a seal will make it. @throws Problem `memory_full` past a budget,
   * `storage_full` where the disk is nearly full
   */
  async room(collectionKey: number): Promise<void> {
    this.#requireDisk();
    const index = this.of(collectionKey);
    await index.room(limits.indexUnsealedBytesMax);
    if (this.#overBudget(index) === undefined) return;
    await index.seal();
    const problem = this.#overBudget(index);
    if (problem !== undefined) throw problem;
  }

  #overBudget(index: CollectionIndex): Problem | undefined {
    const { memoryBytesMax, collectionMemoryBytesMax } = this.#options.budgets;
    const own = index.report().heapBytes;
    if (own > collectionMemoryBytesMax)
      return memoryFull(
        `The collection's indexes hold ${own} bytes of memory`,
        collectionMemoryBytesMax,
      );
    const all = this.reports().reduce((sum, { heapBytes }) => sum + heapBytes, 0);
    return all > memoryBytesMax
      ? memoryFull(`The indexes hold ${all} bytes of memory`, memoryBytesMax)
      : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#byCollection.values()];
    this.#byCollection.clear();
    for (const index of all) await index[Symbol.asyncDispose]();
  }

  #requireDisk(): void {
    const now = performance.now();
    if (now - this.#disk.lookedMs > diskLookMs) {
      this.#disk = { lookedMs: now, freeBytes: freeBytes(this.#options.folder) };
    }
    const { diskFreeBytesMin } = this.#options.budgets;
    if (this.#disk.freeBytes >= diskFreeBytesMin) return;
    throw new Problem(
      "storage_full",
      `The disk has less than ${diskFreeBytesMin} bytes left, which are kept for what is stored already (DISK_FREE_MIN_MB).`,
      { retryAfterMs: 5000 },
    );
  }
}

function memoryFull(what: string, budget: number): Problem {
  return new Problem("memory_full", `${what}, and their budget is ${budget}.`, {
    retryAfterMs: 5000,
  });
}

function freeBytes(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    // A folder that is not there yet is on the disk of the data, where writing will tell.
    return Infinity;
  }
}
