import { describe, expect, test } from "bun:test";
import { mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readDocuments } from "../../../src/ingest/read-file.ts";
import { limits } from "../../../src/limits.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { documentIn, documentsIn, readContent } from "./files.ts";

const ENDINGS = ["md", "markdown", "txt", "text", "html", "htm", "jsonl", "ndjson", "csv"];

describe("readDocuments", () => {
  test("plain text is one document called after its file, line ends made one", async () => {
    expect(await documentIn("Notes.TXT", "one\r\ntwo\r\n")).toEqual({
      id: "Notes.TXT",
      title: "Notes",
      text: "one\ntwo\n",
      metadata: { source: "Notes.TXT", format: "text" },
    });
  });

  test("a byte order mark is left out", async () => {
    const bom = "\ufeff";
    expect((await documentIn("a.txt", `${bom}text`)).text).toBe("text");
    expect((await documentIn("a.md", `${bom}---\ntitle: T\n---\nx`)).title).toBe("T");
    expect((await documentIn("a.jsonl", `${bom}{"id":"1","text":"x"}`)).id).toBe("1");
    expect((await documentIn("a.csv", `${bom}id,text\n7,x`)).id).toBe("7");
  });

  test.each(ENDINGS)("an empty .%s file is one failure", async (ending) => {
    const source = `a.${ending}`;
    expect(await readContent(source, "")).toEqual([{ ok: false, source, message: "is empty" }]);
    expect(await readContent(source, "\n \n")).toMatchObject([{ ok: false, source }]);
  });

  test.each(ENDINGS)("invalid UTF-8 in a .%s file is one failure that names it", async (ending) => {
    const source = `a.${ending}`;
    const results = await readContent(source, Uint8Array.from([0x7b, 0xff, 0xfe, 0x7d]));
    expect(results).toMatchObject([{ ok: false, source, message: "is not valid UTF-8" }]);
  });

  test("NUL characters, as in a binary file, are a failure", async () => {
    expect(await readContent("a.txt", "PK\0\0")).toMatchObject([
      { ok: false, message: "holds NUL characters, so it is not text" },
    ]);
  });

  test("a missing file, a folder and an unknown ending are failures, not exceptions", async () => {
    using dir = tempDir();
    await mkdir(join(dir.path, "folder.md"));
    await writeFile(join(dir.path, "a.png"), "x");
    const read = async (name: string) =>
      Array.fromAsync(readDocuments({ path: join(dir.path, name), id: name }));
    for (const name of ["gone.md", "gone.csv", "gone.jsonl"]) {
      expect(await read(name)).toEqual([{ ok: false, source: name, message: "does not exist" }]);
    }
    expect(await read("folder.md")).toMatchObject([{ ok: false, message: "is a folder" }]);
    expect(await read("a.png")).toMatchObject([{ ok: false, source: "a.png" }]);
  });

  test.each(["a.txt", "a.csv", "a.jsonl"])("%s past the bound is refused unread", async (name) => {
    using dir = tempDir();
    const path = join(dir.path, name);
    await writeFile(path, "x");
    // A hole: the size is there, the disk is not touched.
    await truncate(path, limits.ingestFileBytesMax + 1);
    expect(await Array.fromAsync(readDocuments({ path, id: name }))).toEqual([
      { ok: false, source: name, message: "is larger than 268435456 bytes" },
    ]);
  });

  test("a huge text becomes parts at paragraph borders that put together are the text", async () => {
    const text = "# Title\n\n".concat("Some words of a paragraph.\n\n".repeat(180_000));
    const parts = await documentsIn("book.md", text);
    expect(parts.map((part) => part.id)).toEqual(["book.md", "book.md#part-2", "book.md#part-3"]);
    expect(parts.map((part) => part.metadata["part"])).toEqual([1, 2, 3]);
    expect(parts.every((part) => part.metadata["parts"] === 3)).toBe(true);
    expect(parts.every((part) => part.title === "Title" && part.text.endsWith(".\n\n"))).toBe(true);
    expect(parts.every((part) => Buffer.byteLength(part.text) <= limits.textBytesMax)).toBe(true);
    expect(parts.map((part) => part.text).join("") === text).toBe(true);
  });

  test("a row's huge text is cut too, but never one that brings its vector", async () => {
    const text = "word ".repeat(500_000);
    const cut = await documentsIn("a.jsonl", JSON.stringify({ id: "r", text }));
    expect(cut.map((part) => part.id)).toEqual(["r", "r#part-2"]);
    const whole = await documentsIn("a.jsonl", JSON.stringify({ id: "r", text, vector: [1] }));
    expect(whole.map((part) => part.id)).toEqual(["r"]);
  });
});
