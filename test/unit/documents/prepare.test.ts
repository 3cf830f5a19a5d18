import { describe, expect, test } from "bun:test";
import { prepareDocument } from "../../../src/documents/prepare.ts";
import type { CheckedDocument } from "../../../src/documents/check-document.ts";
import { limits } from "../../../src/limits.ts";
import type { CollectionRow } from "../../../src/store/store.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION } from "../store/fixtures.ts";

const collection: CollectionRow = {
  ...COLLECTION,
  key: 1,
  model: "static-256",
  chunking: { strategy: "auto", tokens_max: 32, tokens_overlap: 0 },
  embedAgain: "no",
  createdAt: "",
  updatedAt: "",
};
const document: CheckedDocument = {
  id: "a",
  title: null,
  text: "one two three",
  metadata: { lap: 1 },
  vector: undefined,
};
/** A word is a token. */
const countTokens = (text: string): number =>
  text.split(/\s+/).filter((word) => word !== "").length;
const words = (count: number): string => "word ".repeat(count).trimEnd();

describe("prepareDocument", () => {
  const prepare = (changes: Partial<CheckedDocument>, row = collection) =>
    prepareDocument({ ...document, ...changes }, { id: "a", collection: row, countTokens });

  test("leaves room for the model's own two tokens and for the title", () => {
    expect(prepare({ text: words(30) }).chunks).toHaveLength(1);
    expect(prepare({ text: words(31) }).chunks).toHaveLength(2);
    expect(prepare({ text: words(20), title: words(10) }).chunks).toHaveLength(1);
    expect(prepare({ text: words(21), title: words(10) }).chunks).toHaveLength(2);
  });

  test("keeps some room for the text under a title that fills the window", () => {
    const { chunks } = prepare({ text: words(16), title: words(100) });
    expect(chunks).toHaveLength(2);
  });

  test("tiles the text and keeps headings", () => {
    const text = `# Flags\n\n${words(20)}\n\n# Tyres\n\n${words(20)}`;
    const { chunks } = prepare({ text });
    expect(chunks.map(({ heading }) => heading)).toEqual(["Flags", "Tyres"]);
    expect(chunks.map(({ start, end }) => text.slice(start, end)).join("")).toBe(text);
  });

  test.each([
    ["a vector of its own", { vector: new Float32Array([1, 0]), text: words(100) }, {}],
    ["no text", { text: null, title: "title" }, {}],
    [
      "chunking off",
      { text: words(100) },
      { chunking: { ...collection.chunking, strategy: "none" as const } },
    ],
  ])("makes one chunk of a document with %s", (_what, changes, row) => {
    const prepared = prepare(changes, { ...collection, ...row });
    expect(prepared.chunks).toEqual([{ start: 0, end: changes.text?.length ?? 0, heading: null }]);
    expect(prepared).toMatchObject({ id: "a", metadata: { lap: 1 } });
  });

  test("refuses a text of more chunks than are allowed", async () => {
    const row = { ...collection, chunking: { ...collection.chunking, tokens_max: 16 } };
    const sections = `# h\n\nx\n\n`.repeat(limits.chunksPerDocumentMax + 1);
    expect((await problemOf(() => prepare({ text: sections }, row))).code).toBe("too_large");
  });
});
