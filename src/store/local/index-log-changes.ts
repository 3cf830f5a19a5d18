/** What the numbers of the index log's `change` column mean. */
export const CHANGES = ["text", "vector", "removed"] as const;
