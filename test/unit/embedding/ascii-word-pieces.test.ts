import { Tokenizer } from "@huggingface/tokenizers";
import * as fc from "fast-check";
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createAsciiWordPieces } from "../../../src/embedding/ascii-word-pieces.ts";
import { queryEncoderModel, readModelFile } from "../../../src/embedding/model-files.ts";

const SETS = ["cranfield", "cisi", "cosqa"];
const SHARED = process.env["SLIPSTREAM_SHARED"] ?? "../shared";

const tokenizerJson = await readModelFile(queryEncoderModel.tokenizer);
const definition: object = JSON.parse(new TextDecoder().decode(tokenizerJson));
const library = new Tokenizer(definition, {});
const libraryIds = (text: string) => library.encode(text, { add_special_tokens: false }).ids;
const asciiIds = createAsciiWordPieces(library.get_vocab());

describe("the ids of plain ASCII", () => {
  test.each([
    "",
    "Reset my PASSWORD!",
    "tab\tand\r\nline",
    "x = foo(bar_baz, 3.14e-7) # don't",
    "Pneumonoultramicroscopicsilicovolcanoconiosis",
    `${"q".repeat(100)} ${"q".repeat(101)} end`,
    "{|}~^`@$%&*<>?/\\\"';:]",
    "__proto__ constructor toString",
  ])("%j: those of the library", (text) => {
    expect(asciiIds(text)).toEqual(libraryIds(text));
  });

  test.each(["café", "a [SEP] b", "nul\0", "\u007f", "x".repeat(1025)])(
    "%j is left to the library",
    (text) => {
      expect(asciiIds(text)).toBeUndefined();
    },
  );

  test("are those of the library, whatever the text", () => {
    const part = fc.oneof(
      fc.string({ unit: "grapheme-ascii", maxLength: 30 }),
      fc.constantFrom(" ", "\t", "\n", "\r", "'s", "Search", "embedding", "tokenization", "HTTP2"),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
        const text = parts.join("");
        const ids = asciiIds(text);
        if (ids !== undefined) expect(ids).toEqual(libraryIds(text));
      }),
      { seed: 20_261, numRuns: 2000, endOnFailure: true },
    );
  });

  for (const name of SETS) {
    const folder = join(SHARED, "sets", name);
    const there = existsSync(folder);
    test.skipIf(!there)(
      `are those of the library on every text of ${name}${there ? "" : " (skipped: SLIPSTREAM_SHARED has no such set)"}`,
      async () => {
        let compared = 0;
        for (const part of ["queries", "corpus"]) {
          const lines = (await Bun.file(join(folder, `${part}.jsonl`)).text()).split("\n");
          for (const line of lines) {
            if (line === "") continue;
            const { text }: { text: string } = JSON.parse(line);
            const start = text.slice(0, 1024);
            const ids = asciiIds(start);
            if (ids === undefined) continue;
            expect(ids).toEqual(libraryIds(start));
            compared++;
          }
        }
        expect(compared).toBeGreaterThan(300);
      },
      60_000,
    );
  }
});
