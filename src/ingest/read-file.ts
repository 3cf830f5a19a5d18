import { decodeUtf8, utf8Bytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { readCsv } from "./csv.ts";
import type { IngestDocument, ParsedText, ReadResult, SourceFile } from "./document.ts";
import { fileErrorReason } from "./file-error.ts";
import { formatOf, readableEndings } from "./formats.ts";
import type { FileFormat } from "./formats.ts";
import { parseHtml } from "./html.ts";
import { readJsonLines } from "./json-lines.ts";
import { parseMarkdown } from "./markdown.ts";
import { splitText } from "./split-text.ts";

/**
 * The documents of one file, read by its ending. Markdown, text and HTML give one document each, called after the file;
 * JSON Lines and CSV give one for each line or row and are read as a stream. All must be UTF-8, a byte order mark is
 * left out, and line ends become `\n`. What cannot be read is a failure among the results and nothing is thrown for it.
 *
 * A text past `limits.textBytesMax` becomes several documents, cut behind blank lines where there are some (see
 * `splitText`): the first keeps the id, the next are `<id>#part-2` and so on, and each has `part` and `parts` in its
 * metadata. A file that shrinks leaves its old last parts behind: delete by `metadata.source` before reading it again.
 * A document with a vector of its own is never cut, for the vector is of the whole.
 */
export async function* readDocuments(file: SourceFile): AsyncIterable<ReadResult> {
  try {
    for await (const result of readUncut(file)) {
      if (!result.ok) yield result;
      else for (const document of partsOf(result.document)) yield { ...result, document };
    }
  } catch (cause) {
    yield { ok: false, source: file.id, message: fileErrorReason(cause) };
  }
}

async function* readUncut(file: SourceFile): AsyncIterable<ReadResult> {
  const failure = (message: string): ReadResult => ({ ok: false, source: file.id, message });
  const format = formatOf(file.path);
  const { size } = await Bun.file(file.path).stat();
  if (format === undefined) {
    yield failure(`has an ending that cannot be read; known are ${readableEndings}`);
  } else if (size > limits.ingestFileBytesMax) {
    yield failure(`is larger than ${limits.ingestFileBytesMax} bytes`);
  } else if (format === "jsonl") yield* readJsonLines(file);
  else if (format === "csv") yield* readCsv(file);
  else yield await readWhole(file, format);
}

async function readWhole(
  file: SourceFile,
  format: Exclude<FileFormat, "jsonl" | "csv">,
): Promise<ReadResult> {
  const decoded = decodeUtf8(await Bun.file(file.path).bytes());
  const problem = problemOf(decoded);
  if (decoded === undefined || problem !== undefined) {
    return { ok: false, source: file.id, message: problem ?? "is not valid UTF-8" };
  }
  const parsed = parse(decoded.replace(/\r\n?/g, "\n"), format);
  if (parsed.text.trim() === "") return { ok: false, source: file.id, message: "holds no text" };
  const document: IngestDocument = {
    id: file.id,
    title: titleOf(parsed.title, file.id),
    text: parsed.text,
    metadata: { source: file.id, format, ...parsed.metadata },
  };
  return { ok: true, document };
}

function problemOf(text: string | undefined): string | undefined {
  if (text === undefined) return "is not valid UTF-8";
  if (text.trim() === "") return "is empty";
  return text.includes("\0") ? "holds NUL characters, so it is not text" : undefined;
}

function parse(text: string, format: "markdown" | "text" | "html"): ParsedText {
  if (format === "markdown") return parseMarkdown(text);
  return format === "html" ? parseHtml(text) : { text, metadata: {} };
}

/** The title the file gives itself; where that is none, or none that a document may have, its name without the ending. */
function titleOf(given: string | undefined, id: string): string {
  if (given !== undefined && utf8Bytes(given) <= limits.titleBytesMax) return given;
  const name = id.slice(id.lastIndexOf("/") + 1);
  return name.replace(/(?<=.)\.[^.]*$/, "");
}

function partsOf(document: IngestDocument): IngestDocument[] {
  const isWhole = utf8Bytes(document.text) <= limits.textBytesMax;
  if (isWhole || document.vector !== undefined) return [document];
  const texts = splitText(document.text, limits.textBytesMax).filter((text) => text.trim() !== "");
  return texts.map((text, index) => ({
    ...document,
    id: index === 0 ? document.id : `${document.id}#part-${index + 1}`,
    text,
    metadata: { ...document.metadata, part: index + 1, parts: texts.length },
  }));
}
