import { expect, test } from "bun:test";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { GraphShape } from "../../../src/vectors/graph-engine.ts";
import { RowsFile } from "../../../src/vectors/rows-file.ts";
import { usearchEngine } from "../../../src/vectors/usearch-engine.ts";
import { createVectorKind } from "../../../src/vectors/vector-kind.ts";
import { finishSteps } from "../../../src/segments/run-steps.ts";
import { temporaryFolder } from "../../conformance/segmented.ts";
import { clustered, dimensions, seeded } from "../../conformance/vector-index.ts";

const shape: GraphShape = { dimensions, dtype: "f16" };

function saved(path: string, nodes: number): void {
  const draw = clustered(seeded(62));
  const writer = usearchEngine.create(shape, nodes);
  for (let node = 0; node < nodes; node++) writer.add(node, draw());
  writer.save(path);
  writer.close();
}

/** Descriptors and mappings of a file that this process has. */
function held(path: string): [number, number] {
  const descriptors = readdirSync("/proc/self/fd").filter((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`) === path;
    } catch {
      // The descriptor of the listing itself is gone.
      return false;
    }
  });
  const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
  return [descriptors.length, maps.filter((line) => line.endsWith(path)).length];
}

test("a graph of another size, shape or number format is refused, and so is none", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "graph");
  saved(path, 50);
  expect(() => usearchEngine.open(path, shape, 51)).toThrow("a graph of 50 nodes");
  expect(() => usearchEngine.open(path, { ...shape, dtype: "f32" }, 50)).toThrow("bytes a vector");
  expect(() => usearchEngine.open(path, { ...shape, dimensions: 8 }, 50)).toThrow("bytes a vector");
  // As many bytes a vector, in other numbers.
  const twice: GraphShape = { dimensions: dimensions / 2, dtype: "f32" };
  expect(() => usearchEngine.open(path, twice, 50)).toThrow("a graph of");
  expect(() => usearchEngine.open(join(folder.path, "none"), shape, 50)).toThrow("ENOENT");
  const graph = usearchEngine.open(path, shape, 50);
  const draw = clustered(seeded(62));
  expect(Array.from(graph.nearest(draw(), 1))).toEqual([0]);
  graph.close();
});

test("a saved graph can be read and added to", () => {
  using folder = temporaryFolder();
  const [first, second] = [join(folder.path, "first"), join(folder.path, "second")];
  saved(first, 50);
  const writer = usearchEngine.load(first, shape, 51);
  const vector = new Float32Array(dimensions);
  vector[0] = 1;
  writer.add(50, vector);
  writer.save(second);
  writer.close();
  const graph = usearchEngine.open(second, shape, 51);
  expect(Array.from(graph.nearest(vector, 1))).toEqual([50]);
  graph.close();
});

test.if(process.platform === "linux")(
  "closing and opening, well or not, leave the descriptors of others alone",
  () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "graph");
    saved(path, 50);
    const broken = join(folder.path, "broken");
    // The head that is looked at, and nothing that could be mapped as a graph.
    writeFileSync(broken, readFileSync(path).subarray(0, 8));
    // usearch closes descriptor 0 where a view fails, which may be anybody's: a second one that is ours tells.
    const own = openSync(path, "r");
    const links = (): string[] => [0, own].map((one) => readlinkSync(`/proc/self/fd/${one}`));
    const before = links();
    for (let round = 0; round < 3; round++) {
      const graph = usearchEngine.open(path, shape, 50);
      graph.close();
      graph.close();
      const writer = usearchEngine.load(path, shape, 50);
      writer.close();
      usearchEngine.create(shape, 1).close();
      expect(() => usearchEngine.open(broken, shape, 50)).toThrow();
      expect(links()).toEqual(before);
    }
    closeSync(own);
  },
);

test.if(process.platform === "linux")(
  "closing gives mappings and descriptors back at once",
  async () => {
    using folder = temporaryFolder();
    const kind = await createVectorKind({ dimensions, engine: "usearch", graphRowsMin: 1 });
    const draw = clustered(seeded(63));
    const delta = kind.createDelta();
    for (let key = 1; key <= 50; key++) delta.set(key, draw());
    using own = temporaryFolder();
    const source = { files: finishSteps(delta.dump(own.path)), dead: new Uint8Array(), rows: 50 };
    const job = { kind: kind.name, facts: kind.facts, sources: [source], folder: folder.path };
    const { files } = finishSteps(kind.build(job));
    const paths = [files["rows"] ?? "", files["graph"] ?? ""];
    const segments = Array.from({ length: 20 }, () => kind.open(files));
    expect(paths.map((path) => held(path)[1])).toEqual([20, 20]);
    for (const segment of segments) segment.close();
    expect(paths.map(held)).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(held(source.files["rows"] ?? "")).toEqual([0, 0]);
    const file = new RowsFile(paths[0] ?? "", dimensions);
    expect(file.nodes).toBe(50);
    file.close();
  },
);
