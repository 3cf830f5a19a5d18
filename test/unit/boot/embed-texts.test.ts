import { describe, expect, test } from "bun:test";
import { embedderOf } from "../../../src/boot/embed-texts.ts";
import { Models } from "../../../src/engine/models.ts";
import { problemOf } from "../problems/problem-of.ts";

const MODEL = "static-256";

describe("embedding in this process", () => {
  test("embeds many texts as it embeds each alone", async () => {
    await using models = new Models();
    const { embed } = embedderOf(models);
    const texts = Array.from({ length: 40 }, (_, index) => `text number ${index}`);
    const alone = await Promise.all(texts.map((text) => embed(MODEL, [text])));
    expect(await embed(MODEL, texts)).toEqual(alone.flat());
    expect(await embed(MODEL, [])).toEqual([]);
  });

  test("counts the tokens of all texts", async () => {
    await using models = new Models();
    const { tokenCounter, embedTexts } = embedderOf(models);
    expect((await tokenCounter(MODEL))("how do I reset my password")).toBe(6);
    const { vectors, tokens } = await embedTexts(MODEL, ["how do I", "reset my password"]);
    expect([vectors.length, tokens]).toEqual([2, 6]);
  });

  test("knows the installed models only", async () => {
    await using models = new Models();
    const { embed, tokenCounter } = embedderOf(models);
    for (const use of [() => embed("gpt-9", ["text"]), () => tokenCounter("gpt-9")])
      expect((await problemOf(use)).code).toBe("unknown_model");
  });
});
