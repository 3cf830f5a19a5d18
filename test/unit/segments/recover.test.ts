import { describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { buildHere } from "../../../src/segments/build.ts";
import { recover } from "../../../src/segments/recover.ts";
import { SegmentSet } from "../../../src/segments/segment-set.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { numberKind } from "./number-kind.ts";

const EXPECTED = { kind: numberKind(), epoch: "e", sequenceMax: 100 };

/** An index with two sealed segments of ten rows, closed. */
async function prepared() {
  const dir = tempDir();
  const folder = join(dir.path, "1", "numbers");
  const kind = numberKind();
  const sizes = { deltaRows: 10, deltaBytes: 1e9, fillMs: 0, segmentRows: 10 };
  await using set = new SegmentSet({ ...EXPECTED, folder, kind, run: buildHere(kind), sizes });
  set.start();
  for (let key = 1; key <= 20; key++) {
    set.parts().active.add(key);
    set.applied(key);
    await set.settled();
  }
  const files = readdirSync(folder).filter((name) => name.endsWith(".numbers"));
  expect(files).toHaveLength(2);
  return {
    folder,
    files: files.map((name) => join(folder, name)),
    quarantine: join(dir.path, "quarantine"),
    [Symbol.dispose]: () => dir[Symbol.dispose](),
  };
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

describe("opening what is on the disk", () => {
  test("gives both segments back", async () => {
    using index = await prepared();
    const { segments, incomplete, sequence } = recover({ ...EXPECTED, folder: index.folder });
    expect(segments.map(({ segment }) => segment.rows)).toEqual([10, 10]);
    expect([incomplete, sequence]).toEqual([false, 20]);
  });

  const DAMAGES: Record<string, (path: string) => void> = {
    "cut short": (path) => truncateSync(path, 40),
    emptied: (path) => truncateSync(path, 0),
    "longer than it was": (path) =>
      writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(8)])),
    "changed in one bit": (path) => flip(path, 17),
    missing: (path) => rmSync(path),
    "a folder": (path) => {
      rmSync(path);
      mkdirSync(path);
    },
  };
  for (const [name, damage] of Object.entries(DAMAGES)) {
    test(`a segment's file that is ${name}: the other one serves`, async () => {
      using index = await prepared();
      damage(index.files[0] ?? "");
      const recovered = recover({ ...EXPECTED, folder: index.folder });
      expect(recovered.segments).toHaveLength(1);
      expect(recovered.incomplete).toBe(true);
      expect(readdirSync(index.folder).toSorted()).toHaveLength(2);
      expect(existsSync(index.quarantine)).toBe(name !== "missing");
    });
  }

  test("a changed manifest is not believed", async () => {
    using index = await prepared();
    const path = join(index.folder, "manifest.json");
    const text = readFileSync(path, "utf8");
    for (const [from, to] of [
      ['"rows":10', '"rows":11'],
      ['"sequence":20', '"sequence":21'],
    ] as const) {
      writeFileSync(path, text.replace(from, to));
      const recovered = recover({ ...EXPECTED, folder: index.folder });
      expect([recovered.segments.length, recovered.incomplete]).toEqual([0, true]);
      expect(readdirSync(index.folder)).toEqual([]);
    }
  });

  test.each([
    ["of another database", { epoch: "other" }],
    ["of a database that knows fewer changes", { sequenceMax: 19 }],
    ["built by other rules", { kind: numberKind(2) }],
  ])("an index %s is built anew and is no damage", async (_, other) => {
    using index = await prepared();
    const recovered = recover({ ...EXPECTED, ...other, folder: index.folder });
    expect([recovered.segments.length, recovered.incomplete]).toEqual([0, true]);
    expect(existsSync(index.quarantine)).toBe(false);
  });

  test("a file that ended the process when it was opened is not opened again", async () => {
    using index = await prepared();
    const suspect = (index.files[1] ?? "").split("/").at(-1) ?? "";
    writeFileSync(join(index.folder, "opening.json"), suspect);
    const first = recover({ ...EXPECTED, folder: index.folder });
    expect([first.segments.length, first.incomplete]).toEqual([1, true]);
    expect(existsSync(join(index.folder, "opening.json"))).toBe(false);
  });

  test("what a crash left behind is removed, and what is strange is put aside", async () => {
    using index = await prepared();
    mkdirSync(join(index.folder, "building-7-3", "new"), { recursive: true });
    writeFileSync(join(index.folder, "building-7-3", "new", "numbers"), "half");
    writeFileSync(join(index.folder, "manifest.json.tmp"), "half");
    copyFileSync(index.files[0] ?? "", join(index.folder, "0123456789abcdef.numbers"));
    writeFileSync(join(index.folder, "notes.txt"), "mine");
    recover({ ...EXPECTED, folder: index.folder });
    expect(readdirSync(index.folder)).toHaveLength(3);
    expect(readdirSync(index.quarantine)).toHaveLength(1);
  });

  test("the quarantine is bounded", async () => {
    using index = await prepared();
    for (let round = 0; round < 12; round++) {
      writeFileSync(join(index.folder, `strange-${round}`), "x");
      recover({ ...EXPECTED, folder: index.folder });
    }
    expect(readdirSync(index.quarantine).length).toBeLessThanOrEqual(8);
  });

  test("a stale manifest, whose files are gone, loses nothing but time", async () => {
    using index = await prepared();
    renameSync(index.files[0] ?? "", join(index.folder, "..", "elsewhere"));
    renameSync(index.files[1] ?? "", join(index.folder, "..", "elsewhere-too"));
    const recovered = recover({ ...EXPECTED, folder: index.folder });
    expect([recovered.segments.length, recovered.incomplete]).toEqual([0, true]);
  });
});
