import { limits } from "../limits.ts";
import { valueAt } from "../store/filter-match.ts";
import type { DocumentContent } from "../store/standing-store.ts";
import type { DocumentWords } from "./document-words.ts";
import type { Match, MatchFields, OpenedDocument, PreparedQuery } from "./prepare-query.ts";
import type { MatchEvent } from "./standing-queries.ts";

/** The name of a query's stream on the wire. */
export function subOf(hash: string): string {
  return `q:${hash}`;
}

export interface MatchFrame {
  hash: string;
  documentId: string;
  /** Of the change: a document's version is the number of its last change. */
  sequence: number;
  event: MatchEvent;
  /** Null for a document that matches no longer. */
  score: number | null;
  /** JSON text. */
  data: string;
  replay: boolean;
}

/** A finished frame: JSON text. */
export function matchFrame(frame: MatchFrame): string {
  const { hash, documentId, sequence, event, score, data, replay } = frame;
  return (
    `{"type":"match","sub":"${subOf(hash)}","offset":${sequence},"doc":${JSON.stringify(documentId)},` +
    `"version":${sequence},"event":"${event}","score":${score},"data":${data}${replay ? ',"replay":true' : ""}}`
  );
}

/** Of a document that a query matched before and does not now. */
export function leaveFrame(
  hash: string,
  { id, sequence }: { id: string; sequence: number },
  replay = false,
): string {
  const rest = { event: "leave", score: null, data: "{}", replay } as const;
  return matchFrame({ hash, documentId: id, sequence, ...rest });
}

/** True for a frame of a match, false for one of progress. */
export function isMatch(frame: string): boolean {
  return frame.startsWith('{"type":"match"');
}

/** Says that a stream's head moved though nothing matched. */
export function progressFrame(sub: string, offset: number): string {
  return `{"type":"progress","sub":"${sub}","offset":${offset}}`;
}

/** JSON text of a match's data; many queries ask for the same of a document, which is then made once. */
export interface MatchData {
  of(match: Match): string;
}

export function createMatchData(document: OpenedDocument): MatchData {
  const known = new Map<string, string>();
  return {
    of(match) {
      const { fields } = match.query;
      // The text is that of the chunk that this query is nearest to.
      if (fields.text) return dataOf(document, fields, textOf(match, document));
      const made = known.get(fields.key) ?? dataOf(document, fields, undefined);
      known.set(fields.key, made);
      return made;
    },
  };
}

function dataOf(
  document: OpenedDocument,
  fields: MatchFields,
  text: { text: string | null; cut: boolean } | undefined,
): string {
  const { title, metadata } = document.content;
  const parts: string[] = [];
  if (fields.title) parts.push(`"title":${JSON.stringify(title)}`);
  if (text !== undefined) parts.push(`"text":${JSON.stringify(text.text)}`);
  if (text?.cut === true) parts.push('"text_cut":true');
  if (fields.metadata) parts.push(`"metadata":${metadata}`);
  else if (fields.paths.length > 0) {
    parts.push(`"metadata":${JSON.stringify(partsOf(document.metadata(), fields.paths))}`);
  }
  return `{${parts.join(",")}}`;
}

/** An object with the values at some paths and nothing else. */
function partsOf(metadata: unknown, paths: readonly (readonly string[])[]): object {
  // Without a prototype every name is just a name.
  const parts: Record<string, unknown> = Object.create(null);
  for (const path of paths) {
    const value = valueAt(metadata, path);
    if (value !== undefined) setAt(parts, path, value);
  }
  return parts;
}

function setAt(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name = "", ...rest] = path;
  if (rest.length === 0) {
    target[name] = value;
    return;
  }
  const inner: Record<string, unknown> = Object.create(null);
  Object.assign(inner, target[name]);
  target[name] = inner;
  setAt(inner, rest, value);
}

/** Of the chunk that matched best, cut where it is longer than a frame should be. */
function textOf(
  { chunk, query }: Match,
  { content, words }: Pick<OpenedDocument, "content" | "words">,
): { text: string | null; cut: boolean } {
  const place = chunk ?? chunkWithWords(query, content, words());
  const text = content.chunks[place]?.text ?? null;
  const charactersMax = limits.standingTextCharactersMax;
  if (text === null || text.length <= charactersMax) return { text, cut: false };
  return { text: text.slice(0, charactersMax).toWellFormed(), cut: true };
}

/** The first chunk with most of the query's words. */
function chunkWithWords(
  { forms }: PreparedQuery,
  { chunks }: DocumentContent,
  words: DocumentWords,
): number {
  let [best, most] = [0, 0];
  for (const [place, { text }] of chunks.entries()) {
    const found = words.formsOf(text ?? "");
    const count = forms.reduce((sum, form) => sum + Number(found.has(form)), 0);
    if (count > most) [best, most] = [place, count];
  }
  return best;
}
