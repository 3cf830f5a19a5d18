/**
 * Retrieval quality on real test collections, through the HTTP API: nDCG@10 and recall@10 of each model and mode, held
 * against floors. `bun bench/quality.ts [--model NAME]... [--set NAME]...`
 */
import { parseArgs } from "node:util";
import { callJson, post, startServer } from "./support/server.ts";
import { measureRanking, readSets, type RetrievalSet } from "./support/sets.ts";

const MODELS = ["all-MiniLM-L6-v2", "static-256"];
const SETS = ["cranfield", "cisi", "cosqa"];
const MODES = ["keyword", "semantic", "hybrid"] as const;
const ENCODERS = ["full", "fast", "rescored"] as const;
/** The model whose queries can be embedded in other ways than by itself. */
const ENCODED_MODEL = "all-MiniLM-L6-v2";
/** nDCG@10 of a hybrid search by another query encoder, at least, in that of the full one. */
const SHARE_MIN = { full: 1, fast: 0.94, rescored: 0.98 };

/** nDCG@10 in per cent that a change must not fall below, by `model/set/mode`. */
const FLOORS: Readonly<Record<string, number>> = {
  "all-MiniLM-L6-v2/cranfield/hybrid": 40,
  "all-MiniLM-L6-v2/cisi/hybrid": 41.5,
  "all-MiniLM-L6-v2/cranfield/keyword": 34.5,
  "all-MiniLM-L6-v2/cranfield/semantic": 36.5,
  "static-256/cranfield/hybrid": 36.5,
  "static-256/cisi/hybrid": 36,
};

interface Row {
  model: string;
  set: string;
  mode: (typeof MODES)[number];
  encoder: (typeof ENCODERS)[number];
  ndcg10: number;
  recall10: number;
  floor: number | null;
}

async function fill(url: string, set: RetrievalSet, model: string): Promise<string> {
  const name = `${set.name}-${model}`;
  await callJson(`${url}/api/v1/collections`, post({ name, model }));
  const body = set.documents.map((document) => JSON.stringify(document)).join("\n");
  const response = await fetch(`${url}/api/v1/collections/${name}/documents?wait=indexed`, {
    method: "POST",
    body,
    headers: { "content-type": "application/x-ndjson" },
    timeout: false,
  });
  const summary: { upserted?: number; pending_embeddings?: number } = JSON.parse(
    (await response.text()).trim().split("\n").at(-1) ?? "{}",
  );
  if (summary.upserted !== set.documents.length || summary.pending_embeddings !== 0) {
    throw new Error(`${name}: ${JSON.stringify(summary)}`);
  }
  return name;
}

async function measure(
  searchUrl: string,
  set: RetrievalSet,
  { mode, encoder }: Pick<Row, "mode" | "encoder">,
) {
  const total = { ndcg: 0, recall: 0, queries: 0 };
  for (const { id, text } of set.queries) {
    const judged = set.judgements.get(id);
    if (judged === undefined) continue;
    const answer = await callJson(
      searchUrl,
      post({ query: text, mode, query_encoder: encoder, k: 10, fields: [] }),
    );
    const ranking = idsOf(answer);
    const { ndcg, recall } = measureRanking(ranking, judged);
    total.ndcg += ndcg;
    total.recall += recall;
    total.queries++;
  }
  return {
    ndcg10: percent(total.ndcg / total.queries),
    recall10: percent(total.recall / total.queries),
  };
}

/** Every mode by the model itself; the last of them, hybrid, by the other encoders too where the model has them. */
function variantsOf(model: string): Pick<Row, "mode" | "encoder">[] {
  const others = model === ENCODED_MODEL ? ENCODERS.slice(1) : [];
  return [
    ...MODES.map((mode) => ({ mode, encoder: "full" as const })),
    ...others.map((encoder) => ({ mode: "hybrid" as const, encoder })),
  ];
}

function idsOf(answer: unknown): string[] {
  const hits: unknown =
    typeof answer === "object" && answer !== null && "hits" in answer ? answer.hits : [];
  return Array.isArray(hits) ? hits.map((hit: { id: string }) => hit.id) : [];
}

function percent(share: number): number {
  return Math.round(share * 1000) / 10;
}

const { values } = parseArgs({
  options: {
    model: { type: "string", multiple: true },
    set: { type: "string", multiple: true },
    json: { type: "string" },
  },
});
await using server = await startServer({ settings: { ENGINES: "2" } });
const rows: Row[] = [];
for (const set of await readSets(values.set ?? SETS)) {
  for (const model of values.model ?? MODELS) {
    const start = performance.now();
    const collection = await fill(server.url, set, model);
    const seconds = (performance.now() - start) / 1000;
    console.log(`${collection}: ${set.documents.length} documents in ${seconds.toFixed(1)} s`);
    const searchUrl = `${server.url}/api/v1/collections/${collection}/search`;
    let full = 0;
    for (const { mode, encoder } of variantsOf(model)) {
      const measured = await measure(searchUrl, set, { mode, encoder });
      if (encoder === "full") full = measured.ndcg10;
      const floor =
        encoder === "full"
          ? (FLOORS[`${model}/${set.name}/${mode}`] ?? null)
          : Math.round(full * SHARE_MIN[encoder] * 10) / 10;
      const row: Row = { model, set: set.name, mode, encoder, ...measured, floor };
      rows.push(row);
      console.log(JSON.stringify(row));
    }
  }
}
console.table(rows);
if (values.json !== undefined) await Bun.write(values.json, `${JSON.stringify(rows, null, 2)}\n`);
const low = rows.filter((row) => row.floor !== null && row.ndcg10 < row.floor);
console.log(low.length === 0 ? "every floor is held" : `${low.length} below their floor`);
process.exitCode = low.length === 0 ? 0 : 1;
