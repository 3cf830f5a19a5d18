/** The hidden command that makes this program an embedding child. */
export const EMBEDDING_CHILD_COMMAND = "__embedding-child";
