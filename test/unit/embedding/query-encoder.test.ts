import { beforeAll, describe, expect, test } from "bun:test";
import {
  queryEncoderFile,
  queryEncoderModel,
  readModelFile,
} from "../../../src/embedding/model-files.ts";
import {
  openQueryEncoder,
  parseQueryEncoder,
  type TextQueryEncoder,
} from "../../../src/embedding/query-encoder.ts";
import { createTokenizer } from "../../../src/embedding/tokenizer.ts";
import { Problem } from "../../../src/problems.ts";
import golden from "../../fixtures/query-encoder.json" with { type: "json" };
import { cosine } from "./vectors.ts";

/** Ids with the weight 0. */
const SPECIAL = [0, 100, 101, 102, 103];

const file = await readModelFile(queryEncoderFile);
const tokenizerJson = await readModelFile(queryEncoderModel.tokenizer);
const encoder = parseQueryEncoder(file);
const headerEnd = 8 + new DataView(file.buffer).getUint32(4, true);

/** The problem that reading changed bytes ends with. */
function problemOf(bytes: Uint8Array): Problem {
  try {
    parseQueryEncoder(bytes);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error("the bytes were accepted");
}

/** A copy of the file with another header of the same length. */
function withHeader(from: string, to: string): Uint8Array {
  const header = new TextDecoder().decode(file.subarray(8, headerEnd));
  expect(header).toContain(from);
  const changed = header.replace(from, to).trimEnd().padEnd(header.length);
  expect(changed).toHaveLength(header.length);
  const copy = file.slice();
  copy.set(new TextEncoder().encode(changed), 8);
  return copy;
}

describe("encode", () => {
  test("gives the vectors of the reference implementation, at length 1", () => {
    for (const { ids, emb } of golden) {
      const vector = encoder.encode(ids);
      expect(vector).toHaveLength(encoder.dimensions);
      expect(cosine(vector ?? [], emb)).toBeGreaterThanOrEqual(0.9999);
      expect(Math.hypot(...(vector ?? []))).toBeCloseTo(1, 5);
      expect(encoder.encode(Int32Array.from(ids))).toEqual(vector);
    }
  });

  test("no ids, or only ids without a weight, have no vector", () => {
    expect(encoder.encode([])).toBeUndefined();
    expect(encoder.encode(SPECIAL)).toBeUndefined();
  });

  test("a vector belongs to the caller: changing it changes no later one", () => {
    const first = encoder.encode([2314]);
    const before = first?.slice();
    first?.fill(0);
    expect(encoder.encode([2314])).toEqual(before);
  });

  test("an id outside of the vocabulary is our own mistake", () => {
    expect(() => encoder.encode([encoder.vocabulary])).toThrow("each token has its row");
    expect(() => encoder.encode([-1])).toThrow("each token has its row");
  });

  test("bytes that begin at an odd place are read all the same", () => {
    const odd = new Uint8Array(file.length + 1);
    odd.set(file, 1);
    expect(parseQueryEncoder(odd.subarray(1)).encode([2314])).toEqual(encoder.encode([2314]));
  });
});

describe("parseQueryEncoder refuses", () => {
  const damage: [string, () => Uint8Array, string][] = [
    ["no bytes", () => new Uint8Array(), "does not begin with SLQ1"],
    ["another magic", () => new TextEncoder().encode("SLQ2\0\0\0\0"), "does not begin with SLQ1"],
    ["an end inside the header", () => file.subarray(0, 100), "a header of a wrong length"],
    ["one byte too few", () => file.subarray(0, -1), "bytes where its header asks for"],
    ["another format", () => withHeader('"slq1"', '"slq9"'), "another format"],
    ["a size that is a text", () => withHeader("30522", '"all"'), "no usable vocab"],
    ["no dimensions", () => withHeader('"dims": 384', '"dims": 0'), "no usable dims"],
    ["a broken number", () => withHeader('"ctx": 32', '"ctx": .5'), "a header that is not JSON"],
    ["other dimensions", () => withHeader('"dims": 384', '"dims": 416'), "its header asks for"],
    [
      "hidden units that do not fill the lanes",
      () => withHeader("256", "255"),
      "no multiples of 32",
    ],
  ];
  test.each(damage)("%s", (_, bytes, message) => {
    const problem = problemOf(bytes());
    expect(problem.code).toBe("model_damaged");
    expect(problem.detail).toContain(message);
  });

  test("bytes behind the last section", () => {
    const longer = new Uint8Array(file.length + 1);
    longer.set(file);
    expect(problemOf(longer).detail).toContain("bytes where its header asks for");
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("the number %p in a section", (number) => {
    // The last number of the file belongs to the output's bias.
    const copy = file.slice();
    new DataView(copy.buffer).setFloat32(file.length - 4, number, true);
    const problem = problemOf(copy);
    expect(problem.code).toBe("model_damaged");
    expect(problem.detail).toContain("not finite");
  });

  test("a header that is JSON and no object", () => {
    const copy = file.slice();
    copy.set(new TextEncoder().encode("null".padEnd(headerEnd - 8)), 8);
    expect(problemOf(copy).detail).toContain("a header that is no object");
  });
});

describe("openQueryEncoder", () => {
  let queries: TextQueryEncoder;
  beforeAll(async () => {
    queries = await openQueryEncoder();
  });

  test("tokenises as the model of the documents does, without [CLS] and [SEP]", () => {
    for (const { text, ids } of golden) {
      const expected = encoder.encode(ids);
      expect(expected).toBeDefined();
      expect(queries.embed(text)).toEqual(expected);
    }
  });

  test.each(["", " \n\t", "🎉", "\u200b\ufeff", "[SEP] [CLS]", "\ud800"])(
    "%j has no known token and no vector",
    (text) => {
      expect(queries.embed(text)).toBeUndefined();
    },
  );

  test.each([
    ["short words past the window", "a b c ".repeat(150)],
    ["a long text", "the river rose over the bridge ".repeat(500)],
    ["a text with other letters", "où est la bibliothèque ? ".repeat(200)],
  ])("%s: reads what the window of the model holds", (_, text) => {
    const { tokensMax } = queryEncoderModel.info;
    const { ids, truncated } = createTokenizer(tokenizerJson, tokensMax).encode(text);
    expect(truncated).toBe(true);
    expect(queries.embed(text)).toEqual(encoder.encode(ids.slice(1, -1)));
  });
});
