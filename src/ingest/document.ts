/** One document as read from a file, before any collection has checked it. */
export interface IngestDocument {
  id: string;
  title?: string;
  text: string;
  /** `source` (the file's id) and `format` are set by the reader unless the file itself names them. */
  metadata: Record<string, unknown>;
  /** Only where the file carries one: as many numbers as it had, or its base64, not normalised, not yet checked against a collection. */
  vector?: number[] | string;
}

/** A file, or one line of it, that gave no document. */
export interface ReadFailure {
  ok: false;
  /** Id of the file, as in `metadata.source`. */
  source: string;
  /** Line the failure is at, counted from 1; absent where it is the whole file. */
  line?: number;
  message: string;
}

/** One document or one failure; a failure never ends the reading of what can still be read. */
export type ReadResult =
  /** `line` as in a failure. */
  { ok: true; document: IngestDocument; line?: number } | ReadFailure;

/** What the reader of a whole file makes of its text; the title is absent where the file names none. */
export interface ParsedText {
  title?: string;
  text: string;
  metadata: Record<string, unknown>;
}

/** A file to read: where it lies and what its documents are called after. */
export interface SourceFile {
  path: string;
  /** Forward slashes, relative to the folder that was named. */
  id: string;
}
