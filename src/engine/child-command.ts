/** Hidden commands of the processes that this program starts of itself. */
export const EMBEDDING_CHILD_COMMAND = "__embedding-child";
export const BUILDER_CHILD_COMMAND = "__index-builder";
