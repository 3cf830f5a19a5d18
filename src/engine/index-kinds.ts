import type { KeywordSettings } from "../contract/collections.ts";
import { createAnalyser, type Analyser } from "../keyword/analyser.ts";
import { createKeywordKind, type KeywordKind } from "../keyword/keyword-kind.ts";
import type { BuildJob, Delta, OpenSegment, SegmentKind } from "../segments/segment-kind.ts";
import { createVectorKind, type VectorKindOptions } from "../vectors/vector-kind.ts";

/** The kind of a collection's keyword index. */
export function keywordKind(
  analyser: Analyser,
  { title_weight, text_weight }: KeywordSettings,
): KeywordKind {
  return createKeywordKind(analyser, { titleWeight: title_weight, textWeight: text_weight });
}

/** The kind that a build job is for, made anew from its facts: this may be another process than the one that asks. */
export async function kindOf({ kind, facts }: BuildJob): Promise<SegmentKind<OpenSegment, Delta>> {
  const text = (name: string): string => String(facts[name] ?? "");
  if (kind === "keyword") {
    const [titleWeight, textWeight] = [Number(facts["titleWeight"]), Number(facts["textWeight"])];
    return createKeywordKind(await createAnalyser(text("language")), { titleWeight, textWeight });
  }
  return createVectorKind({
    dimensions: Number(facts["dimensions"]),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the facts are those of a kind that this program made
    ...({ dtype: text("dtype"), engine: text("engine") } as Pick<
      VectorKindOptions,
      "dtype" | "engine"
    >),
  });
}
