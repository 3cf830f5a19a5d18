import { lanceDbPeer } from "./lancedb.ts";
import type { LibraryPeer } from "./peer.ts";
import { pgvectorPeer } from "./pgvector.ts";
import { sqliteVecPeer } from "./sqlite-vec.ts";
import { zvecPeer } from "./zvec.ts";

/** Systems that are called from a process of ours. */
export const libraryPeers: readonly LibraryPeer[] = [
  pgvectorPeer,
  lanceDbPeer,
  zvecPeer,
  sqliteVecPeer,
];
