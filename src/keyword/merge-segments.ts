import type { Built, BuildSource, Steps } from "../segments/segment-kind.ts";
import { RowSet } from "../segments/row-set.ts";
import { KeywordSegment } from "./keyword-segment.ts";
import { createPace } from "./pace.ts";
import { damaged } from "./segment-file.ts";
import { createRawBlock, decodeBlock, type RawBlock } from "./segment-list.ts";
import { createSegmentWriter, type KeywordShape, type SegmentWriter } from "./segment-writer.ts";
import { skipVarints } from "./varint.ts";

interface Source {
  segment: KeywordSegment;
  dead: RowSet;
  /** Where its next row and next word are. */
  row: number;
  term: number;
  /** Its rows in the new segment, -1 for dead ones. */
  newRows: Int32Array;
  /** The block at hand; a source has one word at a time. */
  raw: RawBlock;
}

/**
 * Merges the live rows of segments into one file in a folder, keys ascending, words that no row has any more left out.
 * @throws Error where a source is damaged or of another shape, or two have the same live key
 */
export function* mergeSegments(
  folder: string,
  shape: KeywordShape,
  from: readonly BuildSource[],
): Steps<Built> {
  const sources: Source[] = [];
  let writer: SegmentWriter | undefined;
  try {
    for (const one of from) sources.push(openSource(one, shape));
    const rows = sources.reduce((sum, { segment, dead }) => sum + segment.rows - dead.size, 0);
    writer = createSegmentWriter(folder, shape, rows);
    yield* mergeRows(sources, writer);
    yield* mergeTerms(sources, writer);
    return { rows, files: { postings: yield* writer.finish() }, dead: new Uint8Array(0) };
  } finally {
    writer?.discard();
    for (const { segment } of sources) segment.close();
  }
}

/** Opens a segment's file and makes sure that it is of the shape. @throws Error where it is not */
export function openShaped(path: string | undefined, shape: KeywordShape): KeywordSegment {
  if (path === undefined) throw damaged("its file is not named");
  const segment = new KeywordSegment(path);
  const { language, titleWeight, textWeight } = segment.shape;
  if (
    language !== shape.language ||
    titleWeight !== shape.titleWeight ||
    textWeight !== shape.textWeight
  ) {
    throw new Error("the keyword segment was made for another language or other weights");
  }
  return segment;
}

function openSource({ files, dead, rows }: BuildSource, shape: KeywordShape): Source {
  const segment = openShaped(files["postings"], shape);
  if (segment.rows !== rows) throw damaged("it has another count of rows");
  const deadRows = dead.length === 0 ? new RowSet(rows) : new RowSet(rows, dead.slice());
  const newRows = new Int32Array(rows).fill(-1);
  return { segment, dead: deadRows, row: 0, term: 0, newRows, raw: createRawBlock() };
}

function* mergeRows(sources: readonly Source[], writer: SegmentWriter): Steps<void> {
  const pause = createPace();
  let before = -Infinity;
  for (let newRow = 0; ; newRow++) {
    let next: Source | undefined;
    let key = Infinity;
    for (const source of sources) {
      while (source.row < source.segment.rows && source.dead.has(source.row)) source.row++;
      if (source.row === source.segment.rows) continue;
      const one = source.segment.keyAt(source.row);
      if (one < key) [next, key] = [source, one];
    }
    if (next === undefined) return;
    if (key <= before) throw damaged("keys do not ascend, or two parts have the same");
    before = key;
    writer.row(key, next.segment.lengths[next.row] ?? 0);
    next.newRows[next.row++] = newRow;
    if (pause()) yield;
  }
}

function* mergeTerms(sources: readonly Source[], writer: SegmentWriter): Steps<void> {
  const pause = createPace();
  for (;;) {
    const [bytes, holders] = nextTerm(sources);
    if (bytes === undefined) return;
    writer.term(bytes);
    const streams = holders.map((source) => openStream(source, source.term++));
    for (let open = streams.filter(advance); open.length > 0;) {
      const [first, ...others] = open;
      if (first === undefined) break;
      let next = first;
      for (const stream of others) if (stream.newRow < next.newRow) next = stream;
      append(next, writer);
      if (!advance(next)) open = open.filter((stream) => stream !== next);
      if (pause()) yield;
    }
    if (pause()) yield;
  }
}

/** The least of the words that come next, and who has it. */
function nextTerm(sources: readonly Source[]): [Uint8Array | undefined, Source[]] {
  let least: Uint8Array | undefined;
  let holders: Source[] = [];
  for (const source of sources) {
    const { dictionary } = source.segment;
    if (source.term >= dictionary.terms) continue;
    const bytes = dictionary.bytesAt(source.term);
    const order = least === undefined ? -1 : Buffer.compare(bytes, least);
    if (order < 0) [least, holders] = [bytes, [source]];
    else if (order === 0) holders.push(source);
  }
  return [least, holders];
}

/** A word's postings in one source. */
interface Stream {
  source: Source;
  block: number;
  end: number;
  raw: RawBlock;
  /** Place in the block, -1 before its first row. */
  index: number;
  newRow: number;
  positionsStart: number;
  positionsEnd: number;
}

function openStream(source: Source, term: number): Stream {
  const { first, end } = source.segment.blocksOf(term);
  const places = { positionsStart: 0, positionsEnd: 0 };
  source.raw.count = 0;
  return { source, block: first - 1, end, raw: source.raw, index: -1, newRow: -1, ...places };
}

/** Moves to the next live row. False where there is none. */
function advance(stream: Stream): boolean {
  const { raw, source } = stream;
  const { lists } = source.segment;
  for (;;) {
    if (++stream.index >= raw.count) {
      if (++stream.block >= stream.end) return false;
      decodeBlock(lists, stream.block, { into: raw, after: -1 });
      stream.index = 0;
      stream.positionsEnd = raw.positionsStart;
    }
    stream.positionsStart = stream.positionsEnd;
    stream.positionsEnd = skipVarints(lists.positions, {
      start: stream.positionsStart,
      end: raw.positionsEnd,
      count: (raw.titles[stream.index] ?? 0) + (raw.texts[stream.index] ?? 0),
    });
    stream.newRow = source.newRows[raw.rows[stream.index] ?? 0] ?? -1;
    if (stream.newRow >= 0) return true;
  }
}

function append(stream: Stream, writer: SegmentWriter): void {
  const { raw, index, source } = stream;
  writer.posting(stream.newRow, raw.titles[index] ?? 0, raw.texts[index] ?? 0);
  writer.positions(source.segment.lists.positions, stream.positionsStart, stream.positionsEnd);
}
