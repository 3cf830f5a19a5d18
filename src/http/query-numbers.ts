/** Names of query parameters that are numbers wherever they stand. */
const NUMBERS = ["limit", "k", "offset", "min_score", "after", "before", "history"];

/**
 * Turns the texts of number parameters into numbers before the query is held against its schema. (The framework's own
 * way loses the parameter's name when the number is wrong.) What is no number stays text, and the schema says so.
 */
export function readNumbers(query: Record<string, unknown>): void {
  for (const name of NUMBERS) {
    const text = query[name];
    if (typeof text === "string" && /^-?\d{1,15}(\.\d{1,15})?$/.test(text))
      query[name] = Number(text);
  }
}
