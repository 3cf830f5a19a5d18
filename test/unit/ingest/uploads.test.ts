import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Uploads, type IncomingFile } from "../../../src/ingest/uploads.ts";
import { limits } from "../../../src/limits.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";

async function* incoming(files: Readonly<Record<string, string>>): AsyncGenerator<IncomingFile> {
  for (const [filename, content] of Object.entries(files)) {
    yield { filename, body: pieces(content) };
  }
}

async function* pieces(content: string): AsyncGenerator<Uint8Array> {
  for (const character of content) yield Buffer.from(character);
}

/** As many bytes as are asked for, of which only the number is of interest. */
async function* manyBytes(bytes: number): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(16 * 1024 * 1024);
  for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, left);
}

async function* broken(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("begun");
  throw new Error("the client has gone");
}

async function* one(filename: string, body: AsyncIterable<Uint8Array>) {
  yield { filename, body };
}

describe("an upload", () => {
  test("keeps its files under names of its own, with the documents that their lines promise", async () => {
    using dir = tempDir();
    const uploads = new Uploads(dir.path);
    const stored = await uploads.take(
      "job",
      incoming({
        "../../etc/passwd.MD": "# Mark\n\ndown",
        "\\share\\rows.csv": "a,b\n1,2\n3,4\n",
        "lines.jsonl": '{"text":"1"}\n{"text":"2"}\n{"text":"no end of line"}',
        "empty.jsonl": "",
      }),
    );
    expect(stored).toEqual([
      { id: "../../etc/passwd.MD", name: "0.md", units: 1 },
      { id: "share/rows.csv", name: "1.csv", units: 2 },
      { id: "lines.jsonl", name: "2.jsonl", units: 3 },
      { id: "empty.jsonl", name: "3.jsonl", units: 1 },
    ]);
    expect(readdirSync(uploads.folderOf("job")).toSorted()).toEqual(stored.map(({ name }) => name));
    expect(readFileSync(join(uploads.folderOf("job"), "0.md"), "utf8")).toBe("# Mark\n\ndown");
    await uploads.remove("job");
    await uploads.remove("job");
    expect(readdirSync(dir.path)).toEqual([]);
  });

  test.each([
    ["a kind that cannot be read", { "a.md": "x", "b.docx": "x" }, "unsupported_media_type"],
    ["a name with a control character", { "a\n.md": "x" }, "invalid_text"],
    ["a name that is too long", { [`${"x".repeat(600)}.md`]: "x" }, "invalid_request"],
    ["one name for two files", { "a.md": "x", "/a.md": "y" }, "invalid_request"],
    ["no file", {}, "invalid_request"],
  ])("is refused with %s, and nothing of it is left", async (_, files, code) => {
    using dir = tempDir();
    const uploads = new Uploads(dir.path);
    const problem = await problemOf(() => uploads.take("job", incoming(files)));
    expect<string>(problem.code).toBe(code);
    expect(readdirSync(dir.path)).toEqual([]);
  });

  test("is refused with more files than it may have, and with a file that is too large", async () => {
    using dir = tempDir();
    const uploads = new Uploads(dir.path);
    const names = Array.from({ length: limits.uploadFilesMax + 1 }, (_, index) => `${index}.md`);
    const files = Object.fromEntries(names.map((name) => [name, ""]));
    expect((await problemOf(() => uploads.take("many", incoming(files)))).code).toBe("too_large");
    const large = one("large.md", manyBytes(limits.ingestFileBytesMax + 1));
    expect((await problemOf(() => uploads.take("large", large))).code).toBe("too_large");
    expect(readdirSync(dir.path)).toEqual([]);
  });

  test("that breaks off leaves nothing behind", async () => {
    using dir = tempDir();
    const uploads = new Uploads(dir.path);
    const taking = uploads.take("job", one("a.md", broken()));
    expect(await taking.then(String, String)).toContain("the client has gone");
    expect(readdirSync(dir.path)).toEqual([]);
  });
});

test("a start removes uploads that no job wants, and keeps the others", async () => {
  using dir = tempDir();
  for (const id of ["wanted", "left"]) {
    mkdirSync(join(dir.path, id));
    writeFileSync(join(dir.path, id, "0.md"), "text");
  }
  await new Uploads(dir.path).open(async (id) => id === "wanted");
  expect(readdirSync(dir.path)).toEqual(["wanted"]);
});
