import { expect, test } from "bun:test";
import { join } from "node:path";
import { readSet, sharedFolder, type RetrievalSet } from "../../bench/support/sets.ts";
import { createProgram, type Program } from "../../src/boot/program.ts";
import { parseConfig } from "../../src/config.ts";
import { openEmbedder } from "../../src/embedding/open-embedder.ts";
import { createAnalyser } from "../../src/keyword/analyser.ts";
import { stopWords } from "../../src/keyword/stop-words.ts";
import type {
  OpenQuery,
  StandingQueryDefinition,
} from "../../src/standing-queries/standing-queries.ts";
import type { DocumentContent } from "../../src/store/standing-store.ts";
import { eventually } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";

const QUERIES = 1000;
const DOCUMENTS = 500;
const MODES = ["semantic", "keyword", "hybrid"] as const;
/** Few documents are as near as that to a question of another one. */
const LEAST_SCORES = {
  semantic: [0.35, 0.45, 0.6],
  keyword: [0.4, 0.6, 1],
  hybrid: [0.3, 0.4, 0.5],
};
/** float32 against double precision: whether so near a score is a match is nobody's to say. */
const DOUBT = 1e-5;

interface Heard {
  doc: string;
  version: number;
  event: string;
  score: number;
}

const set = await readSet("cranfield");
if (set === undefined) {
  console.log(
    `skipped: there is no ${sharedFolder}/sets/cranfield (SLIPSTREAM_SHARED names another place)`,
  );
}

/** Queries of every kind: real questions, whole and cut short. */
function definitionsOf({ queries }: RetrievalSet): StandingQueryDefinition[] {
  return Array.from({ length: QUERIES }, (_, index) => {
    const { text } = queries[index % queries.length] ?? { text: "" };
    const mode = MODES[index % MODES.length] ?? "semantic";
    const words = text.split(" ").slice(0, 4 + (index % 9));
    const minScore = LEAST_SCORES[mode][Math.floor(index / 3) % 3] ?? 1;
    return {
      text: words.join(" "),
      collection: "papers",
      mode,
      min_score: minScore,
      fields: [],
      ...(index % 5 === 0 ? { filter: { part: { $ne: index % 4 } } } : {}),
    };
  });
}

async function send(program: Program, path: string, body: unknown): Promise<void> {
  const request = new Request(`http://localhost/api/v1/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const response = await program.front.handle(request);
  expect(response.status, await response.text()).toBeLessThan(300);
}

function openProgramAt(dataDir: string): Promise<Program> {
  const config = parseConfig({
    DATA_DIR: join(dataDir, "db"),
    ENGINES: "0",
    EMBEDDING_MODEL_NAME: "static-256",
    VECTOR_INDEX: "exact",
  });
  return createProgram().open(config);
}

/** Every frame by its query, as they are told. */
function hear(program: Program): Map<string, Heard[]> {
  const heard = new Map<string, Heard[]>();
  program.live.queries.listen((sub, text) => {
    const frame: Heard & { type: string } = JSON.parse(text);
    if (frame.type === "match") heard.set(sub, [...(heard.get(sub) ?? []), frame]);
  });
  return heard;
}

async function arrived(program: Program, opened: readonly OpenQuery[]): Promise<void> {
  await eventually("every stream is at the last change", () =>
    opened.every(({ stream }) => stream.head() === program.store.sequence) ? true : undefined,
  );
}

async function replay({ stream }: OpenQuery, since: number): Promise<Heard[]> {
  const frames: Heard[] = [];
  const bounds = { framesMax: 256, bytesMax: 64 * 1024 };
  for (let after = since; after < stream.head();) {
    const page = await stream.read({ since, after, upTo: stream.head(), ...bounds });
    frames.push(...page.frames.map((text): Heard => JSON.parse(text)));
    after = page.upTo;
  }
  return frames;
}

/** What each query says of each document, by the plainest way to say it. */
async function oracleFor(definitions: readonly StandingQueryDefinition[]) {
  const analyser = await createAnalyser("english");
  await using embedder = await openEmbedder("static-256");
  const vectors = await embedder.embed(definitions.map(({ text }) => text));
  const stop = stopWords("english");
  const formsOf = (text: string): string[] => analyser.tokens(text).map(({ form }) => form);
  const terms = definitions.map(({ text }) => {
    const words = text.match(/[\p{L}\p{N}]+/gu) ?? [];
    const telling = words.filter((word) => !stop.has(word.toLowerCase()));
    return [...new Set((telling.length > 0 ? telling : words).flatMap(formsOf))];
  });
  return ({ title, chunks, metadata }: DocumentContent) => {
    const part: unknown = JSON.parse(metadata).part;
    const forms = new Set([title ?? "", ...chunks.map(({ text }) => text ?? "")].flatMap(formsOf));
    return (index: number): number | undefined => {
      const { filter, mode } = definitions[index] ?? {};
      if (filter !== undefined && part === index % 4) return undefined;
      const mine = terms[index] ?? [];
      const share = mine.filter((form) => forms.has(form)).length / mine.length;
      if (mode === "keyword") return share === 0 ? undefined : share;
      const cosine = Math.max(...chunks.map(({ vector }) => dot(vector, vectors[index])));
      return mode === "semantic" ? cosine : 0.5 * cosine + 0.5 * share;
    };
  };
}

function dot(a: Float32Array | undefined, b: Float32Array | undefined): number {
  let sum = 0;
  for (let at = 0; at < (a?.length ?? 0); at++) sum += (a?.[at] ?? 0) * (b?.[at] ?? 0);
  return sum;
}

test.skipIf(set === undefined)(
  "a thousand queries hear of five hundred real documents what comparing all of them says, across a restart",
  async () => {
    if (set === undefined) return;
    using dir = tempDir();
    const definitions = definitionsOf(set);
    const documents = set.documents.slice(0, DOCUMENTS).map((one, index) => ({
      ...one,
      metadata: { part: index % 4 },
    }));
    const half = DOCUMENTS / 2;
    const first = await openProgramAt(dir.path);
    await send(first, "collections", {
      name: "papers",
      model: "static-256",
      fusion: { method: "weighted", weight: 0.5 },
    });
    const early = await Promise.all(definitions.map((one) => first.live.queries.open(one)));
    const heardFirst = hear(first);
    await send(first, "collections/papers/documents", { documents: documents.slice(0, half) });
    await arrived(first, early);
    const since = first.store.sequence;
    await first[Symbol.asyncDispose]();

    await using second = await openProgramAt(dir.path);
    const opened = await Promise.all(definitions.map((one) => second.live.queries.open(one)));
    const heardSecond = hear(second);
    const changed = documents.slice(half - 50, half).map((one) => ({ ...one, title: "changed" }));
    await send(second, "collections/papers/documents", {
      documents: [...documents.slice(half), ...changed],
    });
    await arrived(second, opened);

    const { key } = (await second.store.collection("papers")) ?? { key: 0 };
    const page = await second.store.changedDocuments(key, { after: 0, limit: 1000, vectors: true });
    expect(page.changes).toHaveLength(DOCUMENTS);
    const open = await oracleFor(definitions);
    const scores = page.changes.map(({ document }) => {
      if (document === undefined) throw new Error("nothing was deleted");
      return open(document);
    });
    const wrong: string[] = [];
    let [matches, doubtful] = [0, 0];
    for (const [index, { min_score: least = 1, mode }] of definitions.entries()) {
      const one = opened[index];
      if (one === undefined) throw new Error("every query is open");
      const { sub } = one.stream;
      const told = byDocument(heardSecond.get(sub));
      const replayed = await replay(one, since);
      expect(replayed.map(plain)).toEqual([...told.values()].map(plain));
      const before = byDocument(heardFirst.get(sub));
      for (const [at, { id, sequence, inserted }] of page.changes.entries()) {
        const score = scores[at]?.(index);
        if (score !== undefined && mode !== "keyword" && Math.abs(score - least) < DOUBT) {
          doubtful++;
          continue;
        }
        const frame = (sequence > since ? told : before).get(id);
        const expected =
          score === undefined || score < least
            ? "nothing"
            : `${sequence} ${inserted < sequence ? "update" : "insert"}`;
        const heard = frame === undefined ? "nothing" : `${frame.version} ${frame.event}`;
        const isOff = frame !== undefined && Math.abs(frame.score - (score ?? 0)) > DOUBT;
        if (heard !== expected || isOff)
          wrong.push(`query ${index}, ${id}: heard ${heard}, not ${expected}; ${score}`);
        if (frame !== undefined) matches++;
      }
    }
    expect(wrong).toEqual([]);
    expect(matches).toBeGreaterThan(2000);
    expect(doubtful).toBeLessThan(100);
  },
  120_000,
);

function byDocument(frames: readonly Heard[] = []): Map<string, Heard> {
  return new Map(frames.map((frame) => [frame.doc, frame]));
}

function plain({ doc, version, event, score }: Heard): Heard {
  return { doc, version, event, score };
}
