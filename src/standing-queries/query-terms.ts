/** Which queries ask for a word: an inverted index over the words of queries, each of which has a number. */
export interface QueryTerms {
  /** True where no query is in it. */
  readonly empty: boolean;
  add(number: number, forms: readonly string[]): void;
  remove(number: number, forms: readonly string[]): void;
  /**
   * Tells, for each query that asks for any of these words, how many of its words are among them. Nothing may be added or
   * removed meanwhile. O(words + what they find)
   */
  count(forms: ReadonlySet<string>, visit: (number: number, count: number) => void): void;
}

export function createQueryTerms(): QueryTerms {
  const queriesOf = new Map<string, Set<number>>();
  /** By the queries' numbers; all 0 between two calls. A query has at most 32 words. */
  let counts = new Uint8Array(64);
  return {
    get empty() {
      return queriesOf.size === 0;
    },
    add(number, forms) {
      if (number >= counts.length) counts = new Uint8Array(number * 2);
      for (const form of forms) {
        const queries = queriesOf.get(form);
        if (queries === undefined) queriesOf.set(form, new Set([number]));
        else queries.add(number);
      }
    },
    remove(number, forms) {
      for (const form of forms) {
        const queries = queriesOf.get(form);
        queries?.delete(number);
        if (queries?.size === 0) queriesOf.delete(form);
      }
    },
    count(forms, visit) {
      const touched: number[] = [];
      for (const form of forms) {
        for (const number of queriesOf.get(form) ?? []) {
          const before = counts[number] ?? 0;
          if (before === 0) touched.push(number);
          counts[number] = before + 1;
        }
      }
      for (const number of touched) {
        const count = counts[number] ?? 0;
        counts[number] = 0;
        visit(number, count);
      }
    },
  };
}
