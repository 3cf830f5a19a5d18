import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { chunkText } from "../../../src/documents/chunk.ts";
import type { ChunkSpan } from "../../../src/documents/chunk.ts";

const runs = { seed: 20_260_301, numRuns: 400 };

/** Additive at whitespace, as WordPiece is; a longer word is more tokens. */
const countSubwords = (text: string): number => {
  let tokens = 0;
  for (const [word] of text.matchAll(/\S+/g)) tokens += Math.ceil(word.length / 6);
  return tokens;
};
const countWords = (text: string): number => text.match(/\S+/g)?.length ?? 0;
/** Whitespace costs as much as anything else. */
const countCodePoints = (text: string): number => Array.from(text).length;
/** Two parts together are more than their sum, so that no sum of counts can be trusted. */
const countSuperadditive = (text: string): number => Math.ceil(countWords(text) ** 1.3);

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
const graphemeStarts = (text: string): Set<number> =>
  new Set([...graphemes.segment(text)].map(({ index }) => index).concat(text.length));

const cut = (text: string, spans: readonly ChunkSpan[]): string[] =>
  spans.map(({ start, end }) => text.slice(start, end));
const repeatWords = (word: string, count: number): string =>
  Array.from({ length: count }, (_, index) => `${word}${index}`).join(" ");

const marks = [
  "## A title\n",
  "# \n",
  "Setext\n======\n",
  "```\n",
  "~~~ sh\n",
  "# comment\n",
  "- item\n",
];
const spaces = ["\n\n", "\r\n", "\r\n\r\n", "\n", "    ", "\t", " ", "\u2028", "\u00a0", "\u3000"];
const joiners = [". ", "。", "! ", "\u200d", "\ufe0f", "\u0600 ", " \u0301"];
const clusters = ["👨‍👩‍👧‍👦", "🇩🇪", "🇫🇷", "👍🏽", "e\u0301", "한국어", "क्षि", "ภาษาไทย", "検索する"];
const loneSurrogates = ["\ud83d", "\udc68"];
const fragment = fc.oneof(
  fc.constantFrom(...marks, ...spaces, ...joiners, ...clusters, ...loneSurrogates),
  fc.lorem({ maxCount: 8, mode: "sentences" }),
  fc.string({ unit: "grapheme", maxLength: 30 }),
  fc.string({ unit: "binary", maxLength: 30 }),
);
const anyText = fc.array(fragment, { maxLength: 30 }).map((parts) => parts.join(""));
const anyCount = fc.constantFrom(countSubwords, countWords, countCodePoints, countSuperadditive);
const anySize = fc.integer({ min: 1, max: 60 });

const wrappedSentence = (word: string): string =>
  `The ${repeatWords(word, 5)}\nand ${repeatWords(word, 5)}. `;

describe("laws of chunkText", () => {
  test("chunks tile the text, none empty, none too long, no grapheme cut", () => {
    fc.assert(
      fc.property(anyText, anyCount, anySize, (text, countTokens, tokensMax) => {
        const spans = chunkText(text, { tokensMax, countTokens });
        const borders = graphemeStarts(text);
        let position = 0;
        for (const { start, end } of spans) {
          expect(start).toBe(position);
          expect(end > start || text === "").toBe(true);
          expect(borders.has(end)).toBe(true);
          const chunk = text.slice(start, end);
          if (countTokens(chunk) > tokensMax) expect([...graphemes.segment(chunk)]).toHaveLength(1);
          position = end;
        }
        expect(position).toBe(text.length);
      }),
      runs,
    );
  });

  test("with overlap chunks cover the text in strict order, none too long, no grapheme cut", () => {
    fc.assert(
      fc.property(anyText, anyCount, anySize, (text, countTokens, tokensMax) => {
        const tokensOverlap = Math.floor(tokensMax / 3);
        const spans = chunkText(text, { tokensMax, countTokens, tokensOverlap });
        const borders = graphemeStarts(text);
        let before = { start: -1, end: 0 };
        for (const { start, end } of spans) {
          expect(start).toBeGreaterThan(before.start);
          expect(start).toBeLessThanOrEqual(before.end);
          expect(end > before.end || text === "").toBe(true);
          expect(borders.has(start) && borders.has(end)).toBe(true);
          const chunk = text.slice(start, end);
          if (countTokens(chunk) > tokensMax) expect([...graphemes.segment(chunk)]).toHaveLength(1);
          before = { start, end };
        }
        expect(before.end).toBe(text.length);
      }),
      runs,
    );
  });

  test("the same text gives the same chunks", () => {
    fc.assert(
      fc.property(anyText, anySize, (text, tokensMax) => {
        const options = { tokensMax, countTokens: countSubwords };
        expect(chunkText(text, options)).toEqual(chunkText(text, options));
      }),
      runs,
    );
  });

  test("a text without headings that fits is one chunk, counted once", () => {
    fc.assert(
      fc.property(fc.lorem({ maxCount: 20, mode: "sentences" }), (text) => {
        let calls = 0;
        const countTokens = (part: string): number => {
          calls += 1;
          return countSubwords(part);
        };
        const spans = chunkText(text, { tokensMax: countSubwords(text), countTokens });
        expect(spans).toEqual([{ start: 0, end: text.length }]);
        expect(calls).toBe(1);
      }),
      runs,
    );
  });

  test("no chunk but the first begins with whitespace where words are short", () => {
    const words = fc.array(
      fc.constantFrom("one", "two.", "Three", "\n", "\n\n", "  ", "\r\n", " ", "- ", "\t"),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(words, fc.integer({ min: 3, max: 12 }), (parts, tokensMax) => {
        const text = parts.join(" ");
        const spans = chunkText(text, { tokensMax, countTokens: countWords });
        for (const chunk of cut(text, spans.slice(1))) expect(chunk).toMatch(/^\S/);
      }),
      runs,
    );
  });
});

describe("headings", () => {
  const options = { tokensMax: 60, countTokens: countWords };

  test("each passage of a rule book is its own chunk, however short", () => {
    const parts = ["4.1 Flags", "4.2 Tyres", "4.3 Pit lane speed", "4.4 Penalties"].map(
      (title, index) => `## ${title}\n\n${repeatWords("rule", 3 + index * 15)}.\n\n`,
    );
    const text = parts.join("");
    const spans = chunkText(text, options);
    expect(cut(text, spans)).toEqual(parts);
    expect(spans.map(({ heading }) => heading)).toEqual([
      "4.1 Flags",
      "4.2 Tyres",
      "4.3 Pit lane speed",
      "4.4 Penalties",
    ]);
  });

  test("a heading with nothing under it goes with the next section, under the innermost title", () => {
    const text =
      "# Rules\n\n## 4 Race\n\n### 4.1 Flags\nYellow: no passing.\n### 4.2 Tyres\nTwo kinds.\n";
    const spans = chunkText(text, options);
    expect(spans.map(({ heading }) => heading)).toEqual(["4.1 Flags", "4.2 Tyres"]);
    expect(cut(text, spans)[0]).toBe(
      "# Rules\n\n## 4 Race\n\n### 4.1 Flags\nYellow: no passing.\n",
    );
  });

  test("text before the first heading stands under none; blank lines there go with the first section", () => {
    expect(chunkText("Preface.\n\n# One\nBody.", options)).toEqual([
      { start: 0, end: 10 },
      { start: 10, end: 21, heading: "One" },
    ]);
    expect(chunkText("\n\n# One\nBody.", options)).toEqual([{ start: 0, end: 13, heading: "One" }]);
  });

  test("headings only are one chunk, and a last bare heading stands alone", () => {
    const only = "# One\n## Two\n\n# Three";
    expect(chunkText(only, options)).toEqual([{ start: 0, end: only.length, heading: "Three" }]);
    const text = "# One\nBody.\n## Two\n";
    expect(cut(text, chunkText(text, options))).toEqual(["# One\nBody.\n", "## Two\n"]);
  });

  test("every chunk of a section that does not fit carries its heading, the first with its title line", () => {
    const text = `# Long\n\n${repeatWords("a", 50)}.\n\n${repeatWords("b", 50)}.\n\n# Short\nEnd.`;
    const spans = chunkText(text, options);
    expect(spans.map(({ heading }) => heading)).toEqual(["Long", "Long", "Short"]);
    expect(cut(text, spans)[0]).toBe(`# Long\n\n${repeatWords("a", 50)}.\n\n`);
  });

  test("what a fence holds is no heading, whichever fence, even unclosed", () => {
    const shell = "# Run\n```sh\n# comment\n\n## another\n```\nDone.\n";
    expect(chunkText(shell, options)).toHaveLength(1);
    expect(chunkText("# Run\n~~~~\n```\n# a\n~~~\n# b\n~~~~\ntext", options)).toHaveLength(1);
    expect(chunkText("# Run\n```\n# a\n# b", options)).toHaveLength(1);
    expect(chunkText("# Run\n```\n---\n# a\n```\n# Stop\nNow.", options)).toHaveLength(2);
    const inline = "# One\n```not a fence```\n# Two\nBody.";
    expect(chunkText(inline, options)).toHaveLength(2);
  });

  test("hashtags, indented code, seven marks and bare marks are no headings", () => {
    for (const line of [
      "#tag",
      "    # code",
      "####### seven",
      "##",
      "# ##",
      "\\# escaped",
      "> # quoted",
    ]) {
      expect(chunkText(`Before.\n\n${line}\n\nAfter.`, options)).toHaveLength(1);
    }
  });

  test("closing marks and indent are not part of the title", () => {
    const titles = ["## Title ##", "   ## Title", "##\tTitle\t#  ", "## Title"];
    for (const line of titles) {
      expect(chunkText(`${line}\r\nBody.`, options)[0]?.heading).toBe("Title");
    }
    expect(chunkText("# C#\nBody.", options)[0]?.heading).toBe("C#");
  });

  test("setext headings are headings; rules, front matter, lists and wrapped text are not", () => {
    const text = "One\n===\nBody.\n\nTwo\n---\r\nMore.\n";
    expect(chunkText(text, options)).toEqual([
      { start: 0, end: 15, heading: "One" },
      { start: 15, end: text.length, heading: "Two" },
    ]);
    for (const plain of [
      "Above.\n\n---\n\nBelow.",
      "---\ntitle: a\ndraft: no\n---\nBody.",
      "- item\n---\nBelow.",
      "wrapped text\nof two lines\n---\nBelow.",
      "a | b\n--- | ---\n1 | 2",
    ]) {
      expect(chunkText(plain, options)).toEqual([{ start: 0, end: plain.length }]);
    }
  });

  test("CRLF gives the chunks of LF", () => {
    const text = `# A\n\n${repeatWords("a", 50)}.\n\n${repeatWords("b", 50)}.\n## B\nEnd.\n\`\`\`\n# no\n\`\`\`\n`;
    const crlf = text.replaceAll("\n", "\r\n");
    const fromCrlf = cut(crlf, chunkText(crlf, options)).map((chunk) =>
      chunk.replaceAll("\r\n", "\n"),
    );
    expect(fromCrlf).toEqual(cut(text, chunkText(text, options)));
  });
});

describe("where a section that does not fit is cut", () => {
  const options = { tokensMax: 20, countTokens: countWords };

  test("paragraphs stay whole, and small ones share a chunk", () => {
    const paragraphs = ["a", "b", "c", "d"].map((word) => `${repeatWords(word, 9)}.\n\n`);
    const text = paragraphs.join("");
    expect(cut(text, chunkText(text, options))).toEqual([
      paragraphs.slice(0, 2).join(""),
      paragraphs.slice(2).join(""),
    ]);
  });

  test("a fenced block stays whole though it has blank lines", () => {
    const fence = `\`\`\`\n${repeatWords("a", 7)}\n\n${repeatWords("b", 7)}\n\`\`\`\n\n`;
    const text = `${repeatWords("x", 12)}\n\n${fence}${repeatWords("y", 12)}`;
    expect(cut(text, chunkText(text, options))[1]).toBe(fence);
  });

  test("a long paragraph is cut between sentences, not at the lines it is wrapped at", () => {
    const text = `${wrappedSentence("a")}${wrappedSentence("b")}${wrappedSentence("c")}`;
    expect(cut(text, chunkText(text, options))).toEqual(["a", "b", "c"].map(wrappedSentence));
  });

  test("a long list is cut between its items, not between the sentences of one", () => {
    const items = ["A", "B", "C"].map(
      (word) => `- ${repeatWords(word, 6)}. ${repeatWords(word, 6)}.\n`,
    );
    expect(cut(items.join(""), chunkText(items.join(""), options))).toEqual(items);
  });

  test("what is left is shared out evenly, with no crumb at the end", () => {
    const text = Array.from({ length: 22 }, () => "One. ").join("");
    const counts = cut(text, chunkText(text, options)).map((chunk) => countWords(chunk));
    expect(counts).toEqual([11, 11]);
  });

  test("a sentence without an end is cut between words", () => {
    const text = repeatWords("word", 1000);
    const chunks = cut(text, chunkText(text, options));
    expect(chunks.length).toBeLessThan(70);
    for (const chunk of chunks) expect(chunk).toMatch(/^word\d+ .*\d ?$/);
  });

  test("a word of 10,000 characters is one chunk where it is one token and is cut where it is many", () => {
    const text = `before ${"x".repeat(10_000)} after`;
    expect(chunkText(text, { tokensMax: 254, countTokens: countWords })).toHaveLength(1);
    const spans = chunkText(text, { tokensMax: 254, countTokens: countSubwords });
    expect(spans.length).toBeGreaterThanOrEqual(7);
    expect(spans.length).toBeLessThan(10);
  });

  test("Chinese without spaces is cut at its full stops", () => {
    const sentence = "检索系统把文档切成片段。";
    const text = sentence.repeat(10);
    const spans = chunkText(text, { tokensMax: 30, countTokens: countCodePoints });
    expect(cut(text, spans)).toEqual(Array.from({ length: 5 }, () => sentence.repeat(2)));
  });

  test("emoji families stay whole, even where one is past the size", () => {
    const family = "👨‍👩‍👧‍👦";
    const countTokens = countCodePoints;
    const text = family.repeat(40);
    for (const chunk of cut(text, chunkText(text, { tokensMax: 16, countTokens }))) {
      expect(chunk).toBe(family.repeat(2));
    }
    expect(chunkText(text, { tokensMax: 3, countTokens })).toHaveLength(40);
  });

  test("a mark that combines with a space, or a sign that begins a number, stays with it", () => {
    for (const unit of ["word \u0301", "word\u0600 "]) {
      const text = unit.repeat(50);
      const borders = graphemeStarts(text);
      const spans = chunkText(text, { tokensMax: 8, countTokens: countCodePoints });
      expect(spans.length).toBeGreaterThan(30);
      for (const { end } of spans) expect(borders.has(end)).toBe(true);
    }
  });

  test("whitespace only is one chunk, and so is no text", () => {
    expect(chunkText("", options)).toEqual([{ start: 0, end: 0 }]);
    expect(chunkText(" \n\n\t ", options)).toEqual([{ start: 0, end: 5 }]);
    expect(chunkText(" ".repeat(100_000), options)).toEqual([{ start: 0, end: 100_000 }]);
  });
});

describe("overlap", () => {
  const countTokens = countWords;

  test("a chunk repeats the last sentences of the one before that fit", () => {
    const text = Array.from({ length: 30 }, (_, index) => `This is sentence ${index}. `).join("");
    const spans = chunkText(text, { tokensMax: 30, tokensOverlap: 9, countTokens });
    for (const [index, chunk] of cut(text, spans).entries()) {
      expect(chunk).toMatch(/^This is/);
      const before = spans[index - 1];
      if (before === undefined) continue;
      const repeated = text.slice(spans[index]?.start, before.end);
      expect(countWords(repeated)).toBe(8);
    }
  });

  test("where no sentence fits it repeats words", () => {
    const text = repeatWords("w", 100);
    const [first, second] = chunkText(text, { tokensMax: 20, tokensOverlap: 5, countTokens });
    expect(countWords(text.slice(second?.start, first?.end))).toBe(5);
  });

  test("nothing is repeated across a heading", () => {
    const text = `# A\n${repeatWords("a", 10)}\n# B\n${repeatWords("b", 10)}`;
    const spans = chunkText(text, { tokensMax: 15, tokensOverlap: 5, countTokens });
    expect(spans).toHaveLength(2);
    expect(spans[1]?.start).toBe(spans[0]?.end ?? -1);
  });

  test("a size below one or an overlap of the whole size is our own mistake", () => {
    expect(() => chunkText("a", { tokensMax: 0, countTokens })).toThrow("tokensMax");
    expect(() => chunkText("a", { tokensMax: 5, tokensOverlap: 5, countTokens })).toThrow(
      "tokensOverlap",
    );
  });
});

describe("cost", () => {
  test("characters and calls counted grow with the text, not with its square", () => {
    const texts = [
      repeatWords("word", 40_000),
      "x".repeat(300_000),
      `a${"\u2028".repeat(300_000)}b`,
      "检索系统把文档切成片段".repeat(30_000),
      "👨‍👩‍👧‍👦".repeat(30_000),
    ];
    for (const text of texts) {
      let calls = 0;
      let characters = 0;
      const countTokens = (part: string): number => {
        calls += 1;
        characters += part.length;
        return countSubwords(part);
      };
      chunkText(text, { tokensMax: 254, countTokens });
      expect(characters).toBeLessThan(3 * text.length);
      expect(calls).toBeLessThan(text.length / 50);
    }
  });
});
