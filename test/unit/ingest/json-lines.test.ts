import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { documentIn, readContent } from "./files.ts";

const line = (value: unknown) => `${JSON.stringify(value)}\n`;

/** Two lines, the first of them this much text long. */
const twoLines = (length: number) =>
  `{"vector":[1],"text":"${"x".repeat(length)}"}\r\n{"text":"next"}\n`;

describe("json lines", () => {
  test("an object becomes a document, its other plain keys metadata", async () => {
    const file = line({
      id: 7,
      title: " T ",
      text: "words",
      metadata: { lang: "en", nested: { a: 1 } },
      year: 2024,
      lang: "de",
      ok: true,
      tags: ["a"],
      missing: null,
      embedding: [0.1],
      extra: { left: "out" },
      vector: [0.5, -1],
    });
    expect(await documentIn("a.jsonl", file)).toEqual({
      id: "7",
      title: "T",
      text: "words",
      metadata: {
        source: "a.jsonl",
        format: "jsonl",
        year: 2024,
        lang: "en",
        ok: true,
        tags: ["a"],
        nested: { a: 1 },
      },
      vector: [0.5, -1],
    });
  });

  test.each([
    ["text before content and body", { body: "b", content: "c", text: "t" }, "t"],
    ["content before body", { body: "b", content: "c" }, "c"],
    ["body", { body: "b" }, "b"],
    ["nothing, where there is a vector", { vector: [1] }, ""],
    ["nothing, where there is a vector in base64", { vector: "AACAPw==" }, ""],
  ])("the text is %s", async (_case, value, text) => {
    expect((await documentIn("a.jsonl", line(value))).text).toBe(text);
  });

  test("a vector in base64 is the document's as it stands", async () => {
    const vector = "AACAPwAAgD8=";
    expect(await documentIn("a.jsonl", line({ text: "x", vector }))).toMatchObject({ vector });
  });

  test("the id is id, else _id, else the file's with the line number", async () => {
    const file = `${line({ _id: "m", text: "x" })}\r\n${line({ id: null, text: "y" })}`;
    const results = await readContent("a.ndjson", file);
    expect(results).toMatchObject([{ document: { id: "m" } }, { document: { id: "a.ndjson#3" } }]);
  });

  test("bad lines are failures with their numbers and the good ones are read", async () => {
    const file = [
      '{"text":"one"}',
      '{"text":"cut',
      "",
      '["a list"]',
      '{"text":"   "}',
      '{"id":{"$oid":"1"},"text":"x"}',
      '{"title":1,"text":"x"}',
      '{"metadata":[1],"text":"x"}',
      '{"vector":["1"],"text":"x"}',
      '{"vector":"","text":"x"}',
      `{"text":"x","metadata":${'{"a":'.repeat(40)}1${"}".repeat(40)}}`,
      '{"text":"last"}',
    ].join("\r\n");
    const results = await readContent("a.jsonl", file);
    const short = results.map((result) =>
      result.ok ? result.document.text : `${result.line}: ${result.message}`,
    );
    expect(short).toEqual([
      "one",
      "2: is not valid JSON",
      "4: is not a JSON object",
      "5: has no text, content or body",
      '6: has an "id" that is neither text nor a number',
      '7: has a "title" that is not text',
      '8: has "metadata" that is not an object',
      '9: has a "vector" that is neither numbers nor base64',
      '10: has a "vector" that is neither numbers nor base64',
      "11: is nested deeper than 32 levels",
      "last",
    ]);
  });

  test("invalid UTF-8 in one line costs only that line", async () => {
    const bytes = Buffer.concat([
      Buffer.from(line({ id: "1", text: "a" })),
      Uint8Array.from([0x22, 0xff, 0x22, 0x0a]),
      Buffer.from(line({ id: "3", text: "c" })),
    ]);
    expect(await readContent("a.jsonl", bytes)).toMatchObject([
      { document: { id: "1" } },
      { ok: false, line: 2, message: "is not valid UTF-8" },
      { document: { id: "3" } },
    ]);
  });

  test("a line too long is a failure and the next one is read; the longest allowed is", async () => {
    const longest = limits.ndjsonLineBytesMax - '{"vector":[1],"text":""}'.length;
    expect(await readContent("a.jsonl", twoLines(longest + 1))).toMatchObject([
      { ok: false, line: 1, message: "is longer than 4194304 bytes" },
      { document: { id: "a.jsonl#2", text: "next" } },
    ]);
    expect(await readContent("a.jsonl", twoLines(3 * longest))).toMatchObject([
      { ok: false, line: 1 },
      { document: { id: "a.jsonl#2" } },
    ]);
    expect(await readContent("a.jsonl", twoLines(longest))).toMatchObject([
      { ok: true },
      { ok: true },
    ]);
    const last = await readContent("a.jsonl", "y".repeat(2 * limits.ndjsonLineBytesMax));
    expect(last).toMatchObject([{ ok: false, line: 1 }]);
  });

  test("keys of a prototype stay data", async () => {
    const { metadata } = await documentIn("a.jsonl", '{"text":"x","__proto__":"p"}\n');
    expect(Object.getOwnPropertyDescriptor(metadata, "__proto__")?.value).toBe("p");
  });
});
