/** What the policy needs to know of a sealed segment. */
export interface SegmentSize {
  /** Rows, dead ones included. */
  rows: number;
  dead: number;
}

/** Sizes at which an index changes its segments. */
export interface SealSizes {
  /** Rows of the delta that are sealed: a scan of so many takes about as long as a graph search. */
  deltaRows: number;
  /** Bytes of the delta that are sealed, however few rows they are. */
  deltaBytes: number;
  /**
   * A delta that is full sooner waits for more rows, up to four times as many: a graph of so many is built once where four
   * of a quarter would be built and merged, 2.5 times as much work while writes need the cores.
   */
  fillMs: number;
  /** Rows of the largest segment: opening a graph of that size takes some 40 ms, and holds everything up. */
  segmentRows: number;
}

export const sealSizesDefault: SealSizes = {
  deltaRows: 4096,
  deltaBytes: 64 * 1024 * 1024,
  fillMs: 4000,
  segmentRows: 262_144,
};

/** Share of dead rows past which a segment is written anew. */
export const deadShareMax = 0.2;

/** A segment joins a smaller one's merge up to this many times its size: so few remain, and a row is seldom written again. */
const growthMax = 3;

/** Share of a full delta that is sealed while nothing else is going on: a start then replays less. */
const deltaShareIdle = 1 / 8;

/** Deltas that are sealed together while rows come fast. */
const deltasFast = 4;

/** While nothing else is going on, a merge takes larger ones along. */
const growthMaxIdle = 10;

export interface Situation {
  /** Rows and bytes of the delta. */
  deltaRows: number;
  deltaBytes: number;
  /** Milliseconds since the first row of the delta came. */
  deltaMs: number;
  segments: readonly SegmentSize[];
  sizes: SealSizes;
  /** Nothing was written for a while. */
  idle: boolean;
}

/** What to build next. */
export interface BuildPlan {
  /** The delta goes into it. */
  seal: boolean;
  /** Numbers of the segments that go into it. */
  merge: number[];
}

/**
 * Size-tiered merging (as LSM trees do; O'Neil et al. 1996): a new segment takes along every smaller or comparable one,
 * so that sizes grow geometrically, a row is written O(log n) times and a million rows lie in at most 8 segments. A
 * segment with too many dead rows is written anew, which gives their space back. Undefined where all is well.
 */
export function planBuild(situation: Situation): BuildPlan | undefined {
  const { deltaRows, deltaBytes, segments, sizes, idle } = situation;
  const rotten = segments.findIndex(({ rows, dead }) => dead > rows * deadShareMax);
  const seal = deltaRows >= rowsMax(situation) || deltaBytes >= sizes.deltaBytes;
  if (seal || rotten >= 0) {
    const start = rotten >= 0 ? [rotten] : [];
    const merge = companions(situation, { seal, start });
    return { seal, merge };
  }
  if (!idle || segments.length < 2) return undefined;
  const merge = companions(situation, { seal: false, start: [smallest(segments)] });
  return merge.length > 1 ? { seal: false, merge } : undefined;
}

/** Rows with which a delta is full. */
function rowsMax({ deltaMs, sizes, idle }: Situation): number {
  if (idle) return sizes.deltaRows * deltaShareIdle;
  return deltaMs < sizes.fillMs ? sizes.deltaRows * deltasFast : sizes.deltaRows;
}

/** Sealing the delta now, however small it is. */
export function planSeal(situation: Situation): BuildPlan {
  return { seal: true, merge: companions(situation, { seal: true, start: [] }) };
}

/** The segments that go into the same build as the delta and the ones to start with. */
function companions(
  { deltaRows, segments, sizes, idle }: Situation,
  { seal, start }: { seal: boolean; start: number[] },
): number[] {
  const chosen = [...start];
  let rows = start.reduce((sum, at) => sum + live(segments[at]), seal ? deltaRows : 0);
  const growth = idle ? growthMaxIdle : growthMax;
  const others = segments
    .map((segment, at) => ({ at, rows: live(segment) }))
    .filter(({ at }) => !start.includes(at))
    .toSorted((a, b) => a.rows - b.rows);
  for (const other of others) {
    if (other.rows > rows * growth || rows + other.rows > sizes.segmentRows) break;
    chosen.push(other.at);
    rows += other.rows;
  }
  return chosen.toSorted((a, b) => a - b);
}

function smallest(segments: readonly SegmentSize[]): number {
  let best = 0;
  for (const [at, segment] of segments.entries())
    if (live(segment) < live(segments[best])) best = at;
  return best;
}

function live(segment: SegmentSize | undefined): number {
  return segment === undefined ? 0 : segment.rows - segment.dead;
}

/**
 * The next merge on the way to as few segments as there can be with no dead rows: the delta, every segment with dead
 * rows, and small ones as far as they fit. Undefined where nothing is left to gain.
 */
export function planCompaction({ deltaRows, segments, sizes }: Situation): BuildPlan | undefined {
  const bySize = segments
    .map((segment, at) => ({ at, rows: live(segment), dead: segment.dead }))
    .toSorted((a, b) => a.rows - b.rows);
  const merge: number[] = [];
  let rows = deltaRows;
  for (const segment of bySize) {
    if (rows > 0 && rows + segment.rows > sizes.segmentRows) break;
    merge.push(segment.at);
    rows += segment.rows;
  }
  const rotten = bySize.find(({ dead }) => dead > 0);
  if (deltaRows > 0 || merge.length > 1) return { seal: deltaRows > 0, merge };
  return rotten === undefined ? undefined : { seal: false, merge: [rotten.at] };
}
