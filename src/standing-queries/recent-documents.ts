import type { Analyser } from "../keyword/analyser.ts";
import { limits } from "../limits.ts";
import type { ChangeRange, DocumentChange } from "../store/standing-store.ts";
import type { StoreRead } from "../store/store.ts";
import type { OpenedDocument } from "./prepare-query.ts";
import { openDocument } from "./query-lane.ts";

/** Whose changes are read, and how. */
export interface ChangeSource {
  collectionKey: number;
  vectors: boolean;
  analyser: Analyser;
}

export interface OpenedChange extends Omit<DocumentChange, "document"> {
  /** Undefined where the document was deleted. */
  opened: OpenedDocument | undefined;
}

interface Kept {
  opened: OpenedDocument | undefined;
  bytes: number;
}

/** Its words, as a set of strings that are partly those of the analyser. */
const WORDS_SHARE = 2;
const DOCUMENT_BYTES = 512;

/**
 * Documents as they were after their last changes, those looked at last. What a document was after a change never changes,
 * so nothing here is ever out of date; many that resume at once ask for the same ones.
 */
export class RecentDocuments {
  readonly #store: StoreRead;
  readonly #bytesMax: number;
  /** In the order of their last use. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(store: StoreRead, bytesMax: number = limits.standingRecentBytesMax) {
    this.#store = store;
    this.#bytesMax = bytesMax;
  }

  /** Opens a document for many queries, and remembers it. */
  open(source: ChangeSource, { sequence, document }: DocumentChange): OpenedDocument | undefined {
    const opened = document === undefined ? undefined : openDocument(document, source.analyser);
    this.#keep(keyOf(source, sequence), { opened, bytes: bytesOf(opened) });
    return opened;
  }

  /**
   * The changes of a range up to `upTo`, in order; those that were replaced while they were being read are left out.
   */
  async read(
    source: ChangeSource,
    range: Required<ChangeRange>,
  ): Promise<{ changes: OpenedChange[]; upTo: number }> {
    const { collectionKey, vectors } = source;
    const changes = await this.#store.changeList(collectionKey, { ...range, vectors });
    const missing = changes.filter(({ sequence }) => !this.#kept.has(keyOf(source, sequence)));
    const fetched = new Map<number, OpenedDocument | undefined>();
    for (let after = (missing[0]?.sequence ?? Infinity) - 1; after < Infinity;) {
      const upTo = missing.at(-1)?.sequence ?? 0;
      const scope = { after, upTo, limit: range.limit, vectors };
      const page = await this.#store.changedDocuments(collectionKey, scope);
      for (const change of page.changes) fetched.set(change.sequence, this.open(source, change));
      after = page.done ? Infinity : page.upTo;
    }
    const found = changes.flatMap((change) => {
      const { sequence } = change;
      if (fetched.has(sequence)) return [{ ...change, opened: fetched.get(sequence) }];
      const kept = this.#use(keyOf(source, sequence));
      return kept === undefined ? [] : [{ ...change, opened: kept.opened }];
    });
    return { changes: found, upTo: endOf(changes, range) };
  }

  #use(key: string): Kept | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept;
  }

  #keep(key: string, kept: Kept): void {
    this.#bytes += kept.bytes - (this.#kept.get(key)?.bytes ?? 0);
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#kept.delete(oldest);
      this.#bytes -= bytes;
    }
  }
}

/** Up to where a list has everything; a full one may have more to come. */
export function endOf(
  list: readonly { sequence: number }[],
  { upTo, limit }: Pick<Required<ChangeRange>, "upTo" | "limit">,
): number {
  return list.length < limit ? upTo : (list.at(-1)?.sequence ?? upTo);
}

function keyOf({ collectionKey, vectors }: ChangeSource, sequence: number): string {
  return `${collectionKey}:${vectors ? "vectors" : "words"}:${sequence}`;
}

function bytesOf(opened: OpenedDocument | undefined): number {
  if (opened === undefined) return DOCUMENT_BYTES;
  const { title, metadata, chunks } = opened.content;
  let [characters, vectorBytes] = [(title?.length ?? 0) + metadata.length, 0];
  for (const { text, vector } of chunks) {
    characters += text?.length ?? 0;
    vectorBytes += vector?.byteLength ?? 0;
  }
  return DOCUMENT_BYTES + characters * (2 + WORDS_SHARE) + vectorBytes;
}
