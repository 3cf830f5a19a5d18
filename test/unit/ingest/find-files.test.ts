import { describe, expect, test } from "bun:test";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { findFiles } from "../../../src/ingest/find-files.ts";
import { tempDir } from "../../support/temp-dir.ts";

async function write(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), `text of ${name}`);
  }
}

/** The walk as short lines: ids of files, and problems and counts in words. */
async function walked(...paths: string[]): Promise<string[]> {
  const entries = await Array.fromAsync(findFiles(paths));
  return entries.map((entry) => {
    if (entry.kind === "file") return entry.id;
    return entry.kind === "skipped" ? `${entry.count} skipped` : `problem: ${entry.message}`;
  });
}

describe("findFiles", () => {
  test("gives the readable files of a folder in a stable order, ids relative to it", async () => {
    using dir = tempDir();
    await write(dir.path, ["b.md", "a.TXT", "z/1.csv", "c/d/e.html", "c/a.jsonl"]);
    expect(await walked(dir.path)).toEqual(["a.TXT", "b.md", "c/a.jsonl", "c/d/e.html", "z/1.csv"]);
    expect(await walked(`${dir.path}/`)).toEqual(await walked(dir.path));
  });

  test("a file's entry says where it lies and how large it is", async () => {
    using dir = tempDir();
    await write(dir.path, ["notes/a.md"]);
    const path = join(dir.path, "notes", "a.md");
    const [entry] = await Array.fromAsync(findFiles([dir.path]));
    expect(entry).toEqual({ kind: "file", path, id: "notes/a.md", bytes: 18 });
  });

  test("a named file is called by its base name", async () => {
    using dir = tempDir();
    await write(dir.path, ["deep/er/a.md", "deep/.hidden.md"]);
    expect(await walked(join(dir.path, "deep/er/a.md"))).toEqual(["a.md"]);
    expect(await walked(join(dir.path, "deep/.hidden.md"))).toEqual([".hidden.md"]);
  });

  test("passes over dot-files, node_modules and unknown endings, and counts the last", async () => {
    using dir = tempDir();
    await write(dir.path, [
      ".git/a.md",
      ".env.txt",
      "node_modules/x/readme.md",
      "logo.png",
      "src/main.c",
      "a.md",
      "Makefile",
    ]);
    expect(await walked(dir.path)).toEqual(["a.md", "3 skipped"]);
  });

  test("a missing path and a named file of an unknown ending are problems, the rest goes on", async () => {
    using dir = tempDir();
    await write(dir.path, ["a.md", "logo.png"]);
    const lines = await walked(
      join(dir.path, "nowhere"),
      join(dir.path, "logo.png"),
      join(dir.path, "a.md"),
    );
    expect(lines).toEqual([
      "problem: does not exist",
      "problem: has an ending that cannot be read; known are .md, .markdown, .txt, .text, .html, .htm, .jsonl, .ndjson, .csv",
      "a.md",
    ]);
  });

  test("links that loop end, to the folder itself, to one inside and to one above", async () => {
    using dir = tempDir();
    const root = join(dir.path, "root");
    await write(dir.path, ["root/sub/a.md", "outside.md"]);
    await symlink(root, join(root, "self"));
    await symlink(join(root, "sub"), join(root, "again"));
    await symlink(dir.path, join(root, "sub", "up"));
    await symlink("loop", join(root, "loop"));
    expect(await walked(root)).toEqual(["problem: is a link to itself", "sub/a.md"]);
  });

  test("follows links to files and to folders elsewhere, after what truly lies here", async () => {
    using dir = tempDir();
    await write(dir.path, ["root/z/own.md", "other/far.md", "other/one.md"]);
    await symlink(join(dir.path, "other"), join(dir.path, "root", "a"));
    await symlink(join(dir.path, "other", "one.md"), join(dir.path, "root", "link.md"));
    await symlink(join(dir.path, "gone.md"), join(dir.path, "root", "broken.md"));
    expect(await walked(join(dir.path, "root"))).toEqual([
      "problem: does not exist",
      "link.md",
      "z/own.md",
      "a/far.md",
      "a/one.md",
    ]);
  });

  test("the same file named twice comes once; two files of one id are a problem", async () => {
    using dir = tempDir();
    await write(dir.path, ["a/readme.md", "b/readme.md"]);
    const [a, b] = [join(dir.path, "a"), join(dir.path, "b")];
    expect(await walked(a, join(a, "readme.md"), a)).toEqual(["readme.md"]);
    expect(await walked(a, b)).toEqual([
      "readme.md",
      `problem: would get the same id as ${join(a, "readme.md")} (readme.md); name the folder that holds both`,
    ]);
    expect(await walked(dir.path)).toEqual(["a/readme.md", "b/readme.md"]);
  });

  test("a path too long for a document id is a problem", async () => {
    using dir = tempDir();
    const name = `${`${"d".repeat(120)}/`.repeat(5)}a.md`;
    await write(dir.path, [name, "b.md"]);
    const lines = await walked(dir.path);
    expect(lines).toEqual([
      "b.md",
      "problem: has a path of more than 496 bytes, too long for a document id",
    ]);
  });

  // The superuser may read every folder, so there is nothing to see then.
  test.skipIf(process.getuid?.() === 0)("a folder that may not be read is a problem", async () => {
    using dir = tempDir();
    await write(dir.path, ["shut/a.md", "b.md"]);
    await chmod(join(dir.path, "shut"), 0);
    expect(await walked(dir.path)).toEqual(["b.md", "problem: may not be read"]);
    await chmod(join(dir.path, "shut"), 0o700);
  });
});
