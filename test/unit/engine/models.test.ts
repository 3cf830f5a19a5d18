import { describe, expect, test } from "bun:test";
import { Models } from "../../../src/engine/models.ts";
import { problemOf } from "../problems/problem-of.ts";

describe("Models", () => {
  test("loads a model once, however many ask for it at the same time or later", async () => {
    await using models = new Models();
    const opened = await Promise.all([1, 2, 3].map(() => models.open("static-256")));
    opened.push(await models.open("static-256"));
    expect(new Set(opened).size).toBe(1);
  });

  test("tries a load that failed again the next time", async () => {
    await using models = new Models();
    const first = models.open("gpt-9");
    const sameTime = models.open("gpt-9");
    expect(sameTime).toBe(first);
    expect((await problemOf(() => first)).code).toBe("unknown_model");
    const second = models.open("gpt-9");
    expect(second).not.toBe(first);
    expect((await problemOf(() => second)).code).toBe("unknown_model");
    expect((await models.open("static-256")).info.name).toBe("static-256");
  });

  test("closes what it opened, even what is still being loaded", async () => {
    const models = new Models();
    const opening = models.open("static-256");
    await models[Symbol.asyncDispose]();
    const embedder = await opening;
    expect((await problemOf(() => embedder.embed(["text"]))).code).toBe("embedding_failed");
  });
});
