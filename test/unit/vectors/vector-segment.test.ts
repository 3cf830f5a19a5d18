import { expect, test } from "bun:test";
import { finishSteps } from "../../../src/segments/run-steps.ts";
import { RowSet } from "../../../src/segments/row-set.ts";
import { CodeGraph } from "../../../src/vectors/code-graph.ts";
import type { GraphReader } from "../../../src/vectors/graph-engine.ts";
import { RowsFile } from "../../../src/vectors/rows-file.ts";
import { scanPlain } from "../../../src/vectors/scan.ts";
import { createTopK, neighbours } from "../../../src/vectors/top-k.ts";
import { createVectorKind } from "../../../src/vectors/vector-kind.ts";
import { VectorSegment } from "../../../src/vectors/vector-segment.ts";
import { temporaryFolder } from "../../conformance/segmented.ts";
import { seeded } from "../../conformance/vector-index.ts";

const dimensions = 8;
const rows = 16_000;

test("a filter whose rows come in turn is searched in the graph, whichever turn is theirs", async () => {
  using folder = temporaryFolder();
  const kind = await createVectorKind({ dimensions, engine: "usearch" });
  const random = seeded(71);
  const delta = kind.createDelta();
  for (let key = 1; key <= rows; key++) {
    const vector = Float32Array.from({ length: dimensions }, () => random() - 0.5);
    const length = Math.hypot(...vector);
    delta.set(
      key,
      vector.map((number) => number / length),
    );
  }
  using own = temporaryFolder();
  const source = { files: finishSteps(delta.dump(own.path)), dead: new Uint8Array(), rows };
  const job = { kind: kind.name, facts: kind.facts, sources: [source], folder: folder.path };
  const { files } = finishSteps(kind.build(job));
  const graph = new CodeGraph(files["graph"] ?? "");
  let searches = 0;
  const counted: GraphReader = {
    nodes: graph.nodes,
    heapBytes: graph.heapBytes,
    nearest(query, fetch) {
      searches++;
      return graph.nearest(query, fetch);
    },
    close: () => graph.close(),
  };
  const file = new RowsFile(files["rows"] ?? "", dimensions);
  for (let turn = 0; turn < 10; turn++) {
    const parts = { file, graph: counted, scan: scanPlain, oversampling: 1.5 };
    // Another one for each: what a search cost changes the choice of the next.
    const segment = new VectorSegment(parts);
    const keys = Array.from({ length: rows / 10 }, (_, at) => at * 10 + turn + 1);
    const top = createTopK(1);
    const vector = file.rowsAt(turn, turn + 1).slice();
    segment.offerTo(top, { vector, k: 1, allowed: new Set(keys) }, new RowSet(rows));
    expect(neighbours(top).map(({ key }) => key)).toEqual([turn + 1]);
    expect(searches).toBeGreaterThan(turn);
  }
  counted.close();
  file.close();
});
