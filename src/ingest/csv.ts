import { CsvError, parse } from "csv-parse";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { IngestDocument, ReadResult, SourceFile } from "./document.ts";

/** Bytes at the head of a file that its header must end in, to tell the delimiter. */
const HEADER_BYTES_MAX = 64 * 1024;
const DELIMITERS = [",", ";", "\t"] as const;
const TEXT_NAMES = ["text", "content", "body"];

/** Where the columns with a meaning of their own are; the names of all columns, in order. */
interface Columns {
  names: readonly string[];
  id: number;
  title: number;
  text: number;
}

interface Row {
  /** Line the row begins at, counted from 1. */
  line: number;
  /** Line the row ends at: another one where a quoted cell holds line ends. */
  endLine: number;
  cells: readonly string[];
}

/**
 * The documents of a CSV file (RFC 4180), one a row; the first row names the columns. Columns `id`, `title` and `text`
 * (or `content`, or `body`), in upper or lower case, are the document's; all others become metadata, as numbers or
 * booleans where the whole cell is one, and not at all where it is empty. Without a text column the text is one
 * `column: value` line for each filled cell but the id. Without an id it is `<file id>#<line>`.
 *
 * The delimiter is the one of comma, semicolon and tab that the header has most of. Quotes inside a cell that does not
 * begin with one are text. A row with too many or too few cells gives a failure with its line and the rest goes on; a
 * quote that is never closed, a row past `limits.ndjsonLineBytesMax` or invalid UTF-8 ends the file. Memory: one piece
 * of the file, its rows, and a row that began before it.
 */
export async function* readCsv(file: SourceFile): AsyncIterable<ReadResult> {
  const source = file.id;
  let columns: Columns | undefined;
  let endLine = 0;
  let rowCount = 0;
  try {
    for await (const row of readRows(file.path)) {
      if (columns === undefined) {
        columns = columnsOf(row.cells);
        endLine = row.endLine;
        continue;
      }
      endLine = row.endLine;
      rowCount++;
      const parsed = toDocument(row, { columns, source });
      const { line } = row;
      yield parsed.ok ? { ...parsed, line } : { ...parsed, source, line };
    }
  } catch (cause) {
    yield { ok: false, source, ...endOfReading(cause, endLine + 1) };
    return;
  }
  if (columns === undefined) yield { ok: false, source, message: "is empty" };
  else if (rowCount === 0) yield { ok: false, source, message: "holds a header but no rows" };
}

type Parsed = { ok: true; document: IngestDocument } | { ok: false; message: string };

function toDocument(row: Row, file: { columns: Columns; source: string }): Parsed {
  const { names, id, title, text } = file.columns;
  if (row.cells.length !== names.length) {
    return failure(`has ${row.cells.length} cells where the header has ${names.length}`);
  }
  const cells = row.cells.map((cell) => cell.trim());
  const filled = names.map((name, index) => ({ name, index, cell: cells[index] ?? "" }));
  const others = filled.filter(
    ({ index, cell }) => index !== id && index !== title && index !== text && cell !== "",
  );
  const lines = filled.filter(({ index, cell }) => index !== id && cell !== "");
  const body =
    text === -1
      ? lines.map(({ name, cell }) => `${name}: ${cell}`).join("\n")
      : (row.cells[text] ?? "");
  if (body.trim() === "") return failure("has no text");
  const document = {
    id: cells[id] || `${file.source}#${row.line}`,
    ...(cells[title] && { title: cells[title] }),
    text: body,
    metadata: {
      source: file.source,
      format: "csv",
      ...Object.fromEntries(others.map(({ name, cell }) => [name, typed(cell)])),
    },
  };
  return { ok: true, document };
}

/** @throws Problem invalid_request where two columns have one name: the second would hide the first */
function columnsOf(header: readonly string[]): Columns {
  const names = header.map((cell, index) => cell.trim() || `column ${index + 1}`);
  const lower = names.map((name) => name.toLowerCase());
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Problem("invalid_request", `has two columns named "${twice}"`);
  const textName = TEXT_NAMES.find((name) => lower.includes(name)) ?? "";
  return {
    names,
    id: lower.indexOf("id"),
    title: lower.indexOf("title"),
    text: lower.indexOf(textName),
  };
}

/**
 * A number or boolean where the cell is one as a whole. Leading zeros, a plus and whole numbers past 2^53 stay text: they
 * are codes and account numbers, and a number would not give their digits back.
 */
function typed(cell: string): string | number | boolean {
  if (/^(?:true|false)$/i.test(cell)) return cell.toLowerCase() === "true";
  if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(cell)) return cell;
  const number = Number(cell);
  const isWhole = /^-?\d+$/.test(cell);
  return Number.isFinite(number) && (!isWhole || Number.isSafeInteger(number)) ? number : cell;
}

/**
 * The rows of a file. The parser hands them over as it meets them and its stream is never read, because a stream that
 * fails drops what waits in it: the rows right before the failure.
 * @throws CsvError, after those rows, where the file cannot be parsed further
 */
async function* readRows(path: string): AsyncIterable<Row> {
  const rows: Row[] = [];
  const parser = createParser(await delimiterOf(path), rows);
  for await (const piece of decodedPieces(path)) {
    const failed = await new Promise((resolve) => parser.write(piece, resolve));
    yield* rows.splice(0);
    if (failed instanceof Error) throw failed;
  }
  const failed = await new Promise((resolve) => {
    parser.once("error", resolve).end(() => resolve(undefined));
  });
  yield* rows.splice(0);
  if (failed instanceof Error) throw failed;
}

function createParser(delimiter: string, rows: Row[]) {
  const parser = parse({
    delimiter,
    record_delimiter: "\n",
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    skip_records_with_empty_values: true,
    max_record_size: limits.ndjsonLineBytesMax,
    on_record: (cells: string[], { lines }) => {
      const innerLines = cells.reduce((sum, cell) => sum + cell.split("\n").length - 1, 0);
      rows.push({ line: lines - innerLines, endLine: lines, cells });
      // Nothing goes on into the stream.
      return null;
    },
  });
  // The writer gets each failure from its callback; without a listener it would end the process as well.
  parser.on("error", () => {});
  return parser;
}

/**
 * Text of a file, piece by piece, with every line end as `\n`: the parser counts `\r\n` in a quoted cell as two lines.
 * @throws Problem invalid_text where the file is not UTF-8
 */
async function* decodedPieces(path: string): AsyncIterable<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (piece?: Uint8Array) => {
    try {
      return decoder.decode(piece, { stream: piece !== undefined });
    } catch (cause) {
      throw new Problem("invalid_text", "is not valid UTF-8", { cause });
    }
  };
  let held = "";
  for await (const piece of Bun.file(path).stream()) {
    const text = held + decode(piece);
    // A carriage return at the end may be the first half of a line end.
    held = text.endsWith("\r") ? "\r" : "";
    yield text.slice(0, text.length - held.length).replace(/\r\n?/g, "\n");
  }
  yield (held + decode()).replace(/\r\n?/g, "\n");
}

async function delimiterOf(path: string): Promise<string> {
  const head = await Bun.file(path).slice(0, HEADER_BYTES_MAX).text();
  const header =
    head
      .replace(/"[^"]*"/g, "")
      .replace(/^[\r\n]+/, "")
      .split(/[\r\n]/, 1)[0] ?? "";
  let best: string = DELIMITERS[0];
  for (const delimiter of DELIMITERS) {
    if (header.split(delimiter).length > header.split(best).length) best = delimiter;
  }
  return best;
}

/** Why no more rows can be read, and the line of the row that ended it. @throws the cause where it is none of the file's */
function endOfReading(cause: unknown, line: number): { line?: number; message: string } {
  if (cause instanceof Problem) return { message: cause.detail };
  if (!(cause instanceof CsvError)) throw cause;
  if (cause.code === "CSV_QUOTE_NOT_CLOSED") {
    return { line, message: "holds a quote that is never closed" };
  }
  if (cause.code === "CSV_MAX_RECORD_SIZE") {
    const message = `is longer than ${limits.ndjsonLineBytesMax} bytes; nothing after it was read`;
    return { line, message };
  }
  return { line, message: `cannot be parsed (${cause.code})` };
}

function failure(message: string): { ok: false; message: string } {
  return { ok: false, message };
}
