import { describe, expect, test } from "bun:test";
import { documentIn, readContent } from "./files.ts";

describe("markdown", () => {
  test("front matter becomes metadata and title, the rest is the text as it is written", async () => {
    const file = `---
title: "Install: how to"
tags: [linux, "mac os"]
draft: false
order: 3
date: 2024-05-01
author:
  name: Ada
nothing:
---

# Heading

- a **list**
`;
    expect(await documentIn("docs/install.md".replace("/", "-"), file)).toEqual({
      id: "docs-install.md",
      title: "Install: how to",
      text: "# Heading\n\n- a **list**\n",
      metadata: {
        source: "docs-install.md",
        format: "markdown",
        tags: ["linux", "mac os"],
        draft: false,
        order: 3,
        date: "2024-05-01",
        author: { name: "Ada" },
      },
    });
  });

  test("front matter with Windows line ends and a closing line of dots is read", async () => {
    const document = await documentIn("a.md", "---\r\ntitle: T\r\n...\r\nBody\r\n");
    expect([document.title, document.text]).toEqual(["T", "Body\n"]);
  });

  test.each([
    ["a text that begins with a rule", "---\nSome: words: with colons\n---\nmore"],
    ["a front matter that is never closed", "---\ntitle: T\n\nmore"],
    ["a front matter that is a list", "---\n- a\n- b\n---\nmore"],
    ["front matter with a value that JSON cannot hold", "---\na: .inf\n---\nmore"],
    ["front matter that holds itself", "---\na: &a [*a]\n---\nmore"],
    ["front matter nested past all reason", `---\na: ${"[".repeat(30_000)}\n---\nmore`],
    ["front matter of aliases of aliases", `---\n${aliasBomb()}\n---\nmore`],
  ])("%s stays in the text", async (_case, file) => {
    const document = await documentIn("a.md", file);
    expect(document.text).toBe(file);
    expect(document.metadata).toEqual({ source: "a.md", format: "markdown" });
  });

  test("a key named like a prototype's stays data", async () => {
    const { metadata } = await documentIn("a.md", "---\n__proto__: {a: 1}\n---\nx");
    expect(Object.keys(metadata)).toEqual(["source", "format", "__proto__"]);
    expect(metadata["a"]).toBeUndefined();
  });

  test("a file with nothing under its front matter is a failure", async () => {
    expect(await readContent("a.md", "---\ntitle: T\n---\n\n")).toEqual([
      { ok: false, source: "a.md", message: "holds no text" },
    ]);
  });

  test.each([
    ["# First\n\n# Second", "First"],
    ["intro\n\n  # Closed ##\n", "Closed"],
    ["# C#", "C#"],
    ["## Sub\n\ntext", "a"],
    ["#hashtag", "a"],
    ["#\n\n# Real", "Real"],
    ["```sh\n# comment\n```\n\n# Real", "Real"],
    ["~~~\n```\n# comment\n~~~\n# Real", "Real"],
    ["Underlined\n====\n", "Underlined"],
    ["two lines\nof text\n===\n", "a"],
    ["# ![logo](l.png) **The** [guide](http://x) &amp; `code`", "logo The guide & code"],
    [`# ${"long ".repeat(3000)}`, "a"],
    ["---\ntitle: 2024\n---\n# Other", "2024"],
    ["---\ntitle: [no]\n---\n# Heading", "Heading"],
    ["no heading", "a"],
  ])("the title of %j is %j", async (file, title) => {
    expect((await documentIn("a.md", file)).title).toBe(title);
  });
});

/** A few hundred bytes that would be 9^9 values when walked. */
function aliasBomb(): string {
  const names = "abcdefghi".split("");
  const lines = names.map((name, index) => {
    const item = index === 0 ? "x" : `*${names[index - 1] ?? ""}`;
    return `${name}: &${name} [${Array.from({ length: 9 }, () => item).join(", ")}]`;
  });
  return lines.join("\n");
}
