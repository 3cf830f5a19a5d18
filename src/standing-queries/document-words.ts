import type { Analyser } from "../keyword/analyser.ts";
import { joinChunks } from "../store/join-chunks.ts";
import type { DocumentContent } from "../store/standing-store.ts";

/** The words of a document in the forms of its collection's keyword index. */
export interface DocumentWords {
  /** Each once. */
  readonly forms: ReadonlySet<string>;
  /** Whether the words of a phrase follow each other in the title or in the text. */
  hasPhrase(phrase: readonly string[]): boolean;
  /** The forms of another text, read alike. */
  formsOf(text: string): ReadonlySet<string>;
}

/** Reads a document's title and whole text. O(length) */
export function readWords({ title, chunks }: DocumentContent, analyser: Analyser): DocumentWords {
  const texts = [title, joinChunks(chunks)].map((text) => formsOf(text ?? "", analyser));
  return {
    forms: new Set(texts.flat()),
    formsOf: (text) => new Set(formsOf(text, analyser)),
    hasPhrase: (phrase) => texts.some((forms) => follows(forms, phrase)),
  };
}

function formsOf(text: string, analyser: Analyser): string[] {
  const forms: string[] = [];
  analyser.scan(text, (form) => forms.push(form));
  return forms;
}

function follows(forms: readonly string[], phrase: readonly string[]): boolean {
  const first = phrase[0];
  if (first === undefined) return true;
  for (let at = forms.indexOf(first); at !== -1; at = forms.indexOf(first, at + 1)) {
    if (phrase.every((form, offset) => forms[at + offset] === form)) return true;
  }
  return false;
}
