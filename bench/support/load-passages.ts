import type { RetrievalSet } from "./sets.ts";

/** A piece of a real text. */
export interface Passage {
  id: string;
  title: string;
  text: string;
}

/** Words of a passage: windows of other lengths are cut until there are enough. */
const PASSAGE_WORDS = [120, 90, 65, 45, 150, 75, 105, 35, 55];

/** `count` distinct passages cut from the documents of some sets; fewer where they give no more. */
export function cutPassages(sets: readonly RetrievalSet[], count: number): Passage[] {
  const documents = sets.flatMap((set) => set.documents);
  const passages = new Map<string, Passage>();
  for (const size of PASSAGE_WORDS) {
    for (const { title, text } of documents) {
      const words = text.split(/\s+/);
      for (let start = 0; start < words.length; start += size) {
        if (start > 0 && words.length - start < size / 3) break;
        const cut = words.slice(start, start + size).join(" ");
        if (cut === "" || passages.has(cut)) continue;
        passages.set(cut, { id: `p${passages.size}`, title, text: cut });
        if (passages.size === count) return [...passages.values()];
      }
    }
  }
  return [...passages.values()];
}

/** The questions of some sets, one of each set in turn. */
export function realQueries(sets: readonly RetrievalSet[]): string[] {
  const longest = Math.max(0, ...sets.map((set) => set.queries.length));
  return Array.from({ length: longest }, (_, at) =>
    sets.flatMap((set) => set.queries[at]?.text ?? []),
  ).flat();
}
