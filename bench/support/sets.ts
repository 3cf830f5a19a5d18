import { existsSync } from "node:fs";
import { join } from "node:path";

/** A retrieval test collection: documents, queries, and which documents answer which query how well. */
export interface RetrievalSet {
  name: string;
  documents: { id: string; title: string; text: string }[];
  queries: { id: string; text: string }[];
  /** query id -> document id -> grade, greater is better. */
  judgements: Map<string, Map<string, number>>;
}

/** Where test sets lie; they are not part of the project. */
export const sharedFolder = process.env["SLIPSTREAM_SHARED"] ?? "../shared";

/** Reads a set, or undefined where it is not on this machine. */
export async function readSet(name: string): Promise<RetrievalSet | undefined> {
  const folder = join(sharedFolder, "sets", name);
  if (!existsSync(folder)) return undefined;
  const documents = await readJsonLines(join(folder, "corpus.jsonl"));
  const queries = await readJsonLines(join(folder, "queries.jsonl"));
  return {
    name,
    // Cranfield has two empty abstracts; a search engine has nothing to do with them and says so.
    documents: documents
      .map((one) => ({
        id: String(one["_id"]),
        title: String(one["title"]),
        text: String(one["text"]),
      }))
      .filter((one) => `${one.title}${one.text}`.trim() !== ""),
    queries: queries.map((one) => ({ id: String(one["_id"]), text: String(one["text"]) })),
    judgements: readJudgements(await Bun.file(join(folder, "qrels.tsv")).text()),
  };
}

/** Reads the sets that are there, and says of each other one that it is skipped. */
export async function readSets(names: readonly string[]): Promise<RetrievalSet[]> {
  const sets: RetrievalSet[] = [];
  for (const name of names) {
    const set = await readSet(name);
    if (set !== undefined) sets.push(set);
    else
      console.log(
        `skipped: there is no ${sharedFolder}/sets/${name} (SLIPSTREAM_SHARED names another place)`,
      );
  }
  return sets;
}

async function readJsonLines(path: string): Promise<Record<string, unknown>[]> {
  const text = await Bun.file(path).text();
  return text
    .split("\n")
    .flatMap((line): Record<string, unknown>[] => (line === "" ? [] : [JSON.parse(line)]));
}

function readJudgements(text: string): Map<string, Map<string, number>> {
  const judgements = new Map<string, Map<string, number>>();
  for (const line of text.split("\n").slice(1)) {
    const [query, document, grade] = line.split("\t");
    if (query === undefined || document === undefined || Number(grade) <= 0) continue;
    const known = judgements.get(query) ?? new Map<string, number>();
    judgements.set(query, known.set(document, Number(grade)));
  }
  return judgements;
}

/**
 * nDCG at 10 with linear gain (Järvelin and Kekäläinen, 2002) and recall at 10, both 0…1, of one ranking.
 */
export function measureRanking(
  ranking: readonly string[],
  judged: ReadonlyMap<string, number>,
): { ndcg: number; recall: number } {
  const top = ranking.slice(0, 10);
  const gain = dcg(top.map((id) => judged.get(id) ?? 0));
  const ideal = dcg([...judged.values()].toSorted((a, b) => b - a).slice(0, 10));
  const found = top.filter((id) => judged.has(id)).length;
  return {
    ndcg: ideal === 0 ? 0 : gain / ideal,
    recall: judged.size === 0 ? 0 : found / judged.size,
  };
}

function dcg(grades: readonly number[]): number {
  return grades.reduce((sum, grade, index) => sum + grade / Math.log2(index + 2), 0);
}
