import type { SegmentKind } from "../segments/segment-kind.ts";
import type { Analyser } from "./analyser.ts";
import { KeywordDelta } from "./keyword-delta.ts";
import type { KeywordSegment } from "./keyword-segment.ts";
import { mergeSegments, openShaped } from "./merge-segments.ts";
import { FORMAT } from "./segment-file.ts";

/** The keyword index as segments. */
export interface KeywordKind extends SegmentKind<KeywordSegment, KeywordDelta> {
  readonly name: "keyword";
}

/** How much a word in the title and in the text counts; both 1 if not given. */
export interface FieldWeights {
  titleWeight?: number;
  textWeight?: number;
}

/** The kind of segment for words of an analyser's language. Weights are 0 or more and below 1000. */
export function createKeywordKind(
  analyser: Analyser,
  { titleWeight = 1, textWeight = 1 }: FieldWeights = {},
): KeywordKind {
  const shape = { language: analyser.language, titleWeight, textWeight };
  return {
    name: "keyword",
    facts: { format: FORMAT, ...shape },
    createDelta: () => new KeywordDelta(analyser, shape),
    open: (files) => openShaped(files["postings"], shape),
    build: ({ folder, sources }) => mergeSegments(folder, shape, sources),
  };
}
