import type { Commit } from "../store.ts";

/** What a transaction gathers for those who listen to commits. */
export type CommitDraft = {
  -readonly [K in keyof Commit]: Commit[K] extends readonly (infer T)[] ? T[] : Commit[K];
};

/** A draft of nothing yet. */
export function emptyDraft(
  collectionKey: number,
  at: { sequence: number; indexSequence: number },
): CommitDraft {
  return {
    collectionKey,
    sequence: at.sequence,
    documents: [],
    indexSequence: at.indexSequence,
    chunksRemoved: [],
    chunksAdded: 0,
    chunksPending: 0,
    chunkKeyLast: 0,
  };
}

/** Remembers a draft as it is now; the function that it gives brings it back to that. */
export function bookmark(draft: CommitDraft): () => void {
  const { sequence, indexSequence, chunksAdded, chunksPending, chunkKeyLast } = draft;
  const documents = draft.documents.length;
  const chunksRemoved = draft.chunksRemoved.length;
  return () => {
    Object.assign(draft, { sequence, indexSequence, chunksAdded, chunksPending, chunkKeyLast });
    draft.documents.length = documents;
    draft.chunksRemoved.length = chunksRemoved;
  };
}

/** By how many documents and chunks a collection grows by a commit. */
export function growth({ documents, chunksAdded, chunksRemoved }: CommitDraft): {
  documents: number;
  chunks: number;
} {
  const change = { insert: 1, update: 0, delete: -1 } as const;
  return {
    documents: documents.reduce((sum, { kind }) => sum + change[kind], 0),
    chunks: chunksAdded - chunksRemoved.length,
  };
}
