import { expect, test } from "bun:test";
import fc from "fast-check";
import { createAnalyser } from "../../../src/keyword/analyser.ts";
import { matchOne, prepareQuery } from "../../../src/standing-queries/prepare-query.ts";
import { createQueryLane, openDocument } from "../../../src/standing-queries/query-lane.ts";
import type { StandingQuery } from "../../../src/standing-queries/standing-query.ts";
import type { DocumentContent } from "../../../src/store/standing-store.ts";

const WORDS = ["tyre", "rain", "car", "lap", "pit"];
const word = fc.constantFrom(...WORDS);
const vector = fc
  .tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: 1, max: 3 }))
  .map(([x, y]) => new Float32Array([x / Math.hypot(x, y), y / Math.hypot(x, y)]));

const query = fc.record({
  text: fc
    .tuple(fc.array(word, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([words, quoted]) => (quoted ? `"${words.join(" ")}"` : words.join(" "))),
  minScore: fc.constantFrom(-0.5, 0, 0.25, 0.5, 2 / 3, 0.75, 1),
  weight: fc.constantFrom(0, 0.3, 0.5, 1),
  filter: fc.constantFrom(undefined, { lap: 1 }, { lap: { $ne: 1 } }),
  vector,
});

const document: fc.Arbitrary<DocumentContent> = fc.record({
  title: fc.option(word),
  metadata: fc.constantFrom("{}", '{"lap":1}'),
  chunks: fc.array(
    fc.record({
      start: fc.constant(0),
      text: fc.array(word, { maxLength: 5 }).map((words) => words.join(" ")),
      vector: fc.option(vector, { nil: undefined }),
    }),
    { maxLength: 1 },
  ),
});

test.each(["keyword", "semantic", "hybrid"] as const)(
  "a lane of %s queries finds what each of them finds alone",
  async (mode) => {
    const analyser = await createAnalyser("english");
    const keyword = {
      language: "english",
      stop_words: true,
      title_weight: 1,
      text_weight: 1,
    } as const;
    fc.assert(
      fc.property(
        fc.array(query, { maxLength: 40 }),
        fc.array(document, { maxLength: 5 }),
        (some, documents) => {
          const lane = createQueryLane(mode === "keyword" ? undefined : 2);
          const prepared = some.map((one, index) => {
            const standing: StandingQuery = {
              ...one,
              hash: `h${index}`,
              collectionKey: 1,
              mode,
              minScore: mode === "keyword" ? Math.max(one.minScore, 0.01) : one.minScore,
              on: ["insert"],
              fields: [],
            };
            const queryVector = mode === "keyword" ? undefined : one.vector;
            return prepareQuery(standing, queryVector, { analyser, keyword });
          });
          for (const one of prepared) lane.add(one);
          for (const one of prepared.filter((_, index) => index % 3 === 0)) lane.remove(one.hash);
          for (const one of prepared.filter((_, index) => index % 6 === 0)) lane.add(one);
          const standing = prepared.filter((_, index) => index % 3 !== 0 || index % 6 === 0);
          expect(lane.size).toBe(standing.length);
          for (const content of documents) {
            const opened = openDocument(content, analyser);
            const expected = standing.flatMap((one) => matchOne(one, opened) ?? []);
            const found = lane.match(opened);
            const plain = (matches: typeof found) =>
              matches
                .map((match) => ({ ...match, query: match.query.hash }))
                .toSorted((a, b) => a.query.localeCompare(b.query));
            expect(plain(found)).toEqual(plain(expected));
          }
        },
      ),
      { seed: 20_260, numRuns: 150 },
    );
  },
);
