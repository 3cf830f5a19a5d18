import { afterAll, describe, expect, test } from "bun:test";
import { reset } from "@logtape/logtape";
import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { limits } from "../../../src/limits.ts";
import type { ProblemCode } from "../../../src/problems.ts";
import { StandingRegistry } from "../../../src/standing-queries/registry.ts";
import type { StandingQueryDefinition } from "../../../src/standing-queries/standing-queries.ts";
import { LineSink } from "../../../src/telemetry/line-sink.ts";
import { configureLogging } from "../../../src/telemetry/logs.ts";
import { eventually } from "../../support/process.ts";
import { problemOf } from "../problems/problem-of.ts";
import { DEADLY } from "./mortal-matcher.ts";
import { openWorld, smallModel, type World } from "./world.ts";

afterAll(reset);

describe("equal queries", () => {
  test("share a stream, whatever stands for white space, defaults or order", async () => {
    await using world = await openWorld();
    await world.store.putAlias("latest", world.collectionKey);
    const [one, ...same] = await Promise.all([
      world.open({ text: "soft tyres" }),
      world.open({ text: "  soft\n tyres ", collection: "latest" }),
      world.open({ text: "soft tyres", min_score: 1, on: ["update", "insert"] }),
      world.open({ text: "soft tyres", fields: ["metadata", "title", "title"] }),
    ]);
    for (const { stream } of same) expect(stream).toBe(one.stream);
    expect(one.stream.sub).toMatch(/^q:[\w-]{22}$/);
    await world.put({ a: "soft tyres" });
    expect(await world.heard(1)).toHaveLength(1);
  });

  test("are others as soon as anything differs", async () => {
    await using world = await openWorld();
    const definitions: Partial<StandingQueryDefinition>[] = [
      {},
      { text: "Tyres" },
      { min_score: 0.5 },
      { filter: { a: 1 } },
      { filter: { a: "1" } },
      { on: ["insert"] },
      { fields: [] },
      { mode: "semantic", min_score: 1 },
      { mode: "hybrid", min_score: 1 },
    ];
    const opened = await Promise.all(definitions.map((one) => world.open(one)));
    expect(new Set(opened.map(({ stream }) => stream.sub)).size).toBe(definitions.length);
    await world.store.setFusion(world.collectionKey, { method: "rrf", weight: 0.9 });
    const hybrid = await world.open({ mode: "hybrid", min_score: 1 });
    const keyword = await world.open({});
    expect(opened.map(({ stream }) => stream)).not.toContain(hybrid.stream);
    expect(opened[0]?.stream).toBe(keyword.stream);
  });

  test("are let go of when nobody came back for a while, and not before", async () => {
    await using world = await openWorld({ lingerMs: 0, roundMs: 150 });
    const first = await world.open({});
    const second = await world.open({});
    first.release();
    first.release();
    await world.put({ a: "tyres" });
    await eventually("one is still told", () => world.told.find(({ doc }) => doc === "a"));
    second.release();
    await eventually("it is gone", async () => {
      const again = await world.open({});
      again.release();
      return again.stream === first.stream ? undefined : true;
    });
  });

  test("that nobody listens to are warm for who comes back in time, and told to nobody", async () => {
    await using world = await openWorld({ roundMs: 15 });
    const first = await world.open({});
    first.release();
    await world.put({ a: "tyres" });
    await eventually("it is matched", () => first.stream.head() === 1 || undefined);
    const second = await world.open({});
    expect(second.stream).toBe(first.stream);
    expect(world.told).toEqual([]);
  });
});

test("progress is told where the head moved without a match, once", async () => {
  await using world = await openWorld({ roundMs: 150 });
  const { stream } = await world.open({});
  await world.open({ text: "rain" });
  await world.put({ a: "rain", b: "sun" });
  const frames = await eventually("both know where they are", () => {
    const told = world.told.filter(({ type, offset }) => type === "progress" && offset === 2);
    return told.length === 2 ? world.told : undefined;
  });
  const mine = frames.filter(({ sub }) => sub === stream.sub);
  expect(mine.map(({ type }) => type)).toEqual(mine.map(() => "progress"));
  expect(new Set(mine.map(({ offset }) => offset)).size).toBe(mine.length);
});

describe("a query is refused", () => {
  const REFUSED: [string, Partial<StandingQueryDefinition>, ProblemCode][] = [
    ["without words", { text: " \n" }, "empty_text"],
    ["with nothing that is a word", { text: "?!" }, "empty_text"],
    ["that is too long", { text: "a ".repeat(limits.queryBytesMax) }, "too_large"],
    ["with half a character", { text: "\ud800" }, "invalid_text"],
    ["without a score that it needs", { mode: "semantic" }, "invalid_request"],
    ["with a score that is none", { mode: "hybrid", min_score: Number.NaN }, "invalid_request"],
    ["that any document would match", { min_score: 0 }, "invalid_request"],
    ["with a filter that is none", { filter: { a: { $near: 1 } } }, "invalid_filter"],
    ["for no event", { on: [] }, "invalid_request"],
    ["with fields that there are not", { fields: ["id"] }, "invalid_request"],
    ["with a field name that is none", { fields: ["metadata."] }, "invalid_filter"],
    [
      "with too many fields",
      { fields: Array.from({ length: 17 }, (_, n) => `metadata.f${n}`) },
      "invalid_request",
    ],
    ["in no collection", { collection: "nowhere" }, "collection_not_found"],
  ];
  test.each(REFUSED)("%s", async (_name, definition, code) => {
    await using world = await openWorld();
    expect((await problemOf(() => world.open(definition))).code).toBe(code);
  });

  test("in a collection that is dropped while it is being opened, whenever that is", async () => {
    for (const turns of [0, 1, 4, 16]) {
      await using world = await openWorld();
      const opening = problemOf(() => world.open({}));
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      await world.store.dropCollection(world.collectionKey);
      world.queries.drop(world.collectionKey);
      expect((await opening).code).toBe("collection_not_found");
    }
  });

  test("by meaning, where the collection has no model, or other weights", async () => {
    const meaning = { mode: "semantic", min_score: 0.5 } as const;
    await using bare = await openWorld({ collection: { model: "none", modelSha256: null } });
    expect((await problemOf(() => bare.open(meaning))).code).toBe("vector_required");
    await using other = await openWorld({ collection: { modelSha256: "other" } });
    expect((await problemOf(() => other.open(meaning))).code).toBe("model_mismatch");
  });

  test("by a model that knows none of its words, unless words are enough", async () => {
    await using world = await openWorld();
    const text = "\u{f8ff}";
    const code = (await problemOf(() => world.open({ text, mode: "semantic", min_score: 0.5 })))
      .code;
    expect(code).toBe("empty_text");
    await world.open({ text, mode: "hybrid", min_score: 0.5 });
  });

  test("for as long as the model fails, and no longer", async () => {
    await using world = await openWorld();
    const model = await smallModel();
    let fails = true;
    const { store, folder } = world;
    await using queries = new StandingRegistry({
      store,
      folder,
      embed: async (_model, texts) => {
        if (fails) throw new Error("no model");
        return model.embed(texts);
      },
    });
    const definition = {
      text: "tyres",
      collection: "news",
      mode: "semantic",
      min_score: 0,
    } as const;
    const failure = await queries.open(definition).catch((error: unknown) => error);
    expect(String(failure)).toContain("no model");
    fails = false;
    expect((await queries.open(definition)).stream.head()).toBe(0);
  });
});

test("a thousand queries that come together are all there", async () => {
  await using world = await openWorld();
  const definitions = Array.from({ length: 1000 }, (_, number) => ({
    text: `tyres ${number}`,
    mode: "semantic" as const,
    min_score: -1,
  }));
  await Promise.all(definitions.map((one) => world.open(one)));
  await world.put({ a: "tyres" });
  await world.embed();
  const frames = await world.heard(1000);
  expect(new Set(frames.map(({ sub }) => sub)).size).toBe(1000);
});

/** Logs where nobody reads. */
async function silence(): Promise<AsyncDisposable> {
  const descriptor = openSync(devNull, "w");
  const sink = new LineSink(descriptor);
  const logging = { environment: "production", logFormat: "json", logLevel: "info" } as const;
  await configureLogging(logging, sink);
  return {
    async [Symbol.asyncDispose]() {
      await sink[Symbol.asyncDispose]();
      closeSync(descriptor);
    },
  };
}

const died = (world: World) => problemOf(() => world.open({ text: DEADLY }));

describe("the end of the matcher's thread", () => {
  const workerUrl = new URL("./mortal-matcher.ts", import.meta.url).href;

  test("costs what is under way, and every stream goes on where it was", async () => {
    await using _silent = await silence();
    await using world = await openWorld({ workerUrl });
    const keyword = await world.open({});
    await world.open({
      text: "worn tyres",
      mode: "semantic",
      min_score: 0.4,
      on: ["insert", "leave"],
    });
    await world.put({ a: "worn tyres" });
    await world.embed();
    await world.heard(2);
    expect((await died(world)).code).toBe("engine_lost");
    const since = { epoch: world.store.epoch, offset: 0 };
    expect((await problemOf(() => keyword.stream.resume({ since }))).code).toBe("engine_lost");
    expect(keyword.stream.head()).toBe(1);
    await world.put({ a: "milk", b: "worn tyres" });
    await world.embed();
    const frames = (await world.heard(5)).slice(2);
    const told = frames.map(({ doc, event, sub }) => [doc, event, sub === keyword.stream.sub]);
    expect(told).toContainEqual(["b", "insert", true]);
    expect(told).toContainEqual(["b", "insert", false]);
    expect(told).toContainEqual(["a", "leave", false]);
    expect(told).toHaveLength(3);
    const fresh = await world.open({ text: "milk" });
    expect(fresh.stream.head()).toBe(3);
  });

  test("brings back what it can: a model that fails holds up its own queries only", async () => {
    await using _silent = await silence();
    const model = await smallModel();
    let fails = false;
    await using world = await openWorld({
      workerUrl,
      embed: async (_model, texts) => {
        if (fails) throw new Error("no model");
        return model.embed(texts);
      },
    });
    const words = await world.open({});
    const meaning = await world.open({ text: "worn tyres", mode: "semantic", min_score: 0.4 });
    await world.put({ a: "worn tyres" });
    await world.embed();
    await world.heard(2);
    fails = true;
    await died(world);
    await world.put({ b: "worn tyres" });
    await world.embed();
    expect((await world.heard(3)).map(({ sub }) => sub).at(-1)).toBe(words.stream.sub);
    const again = await eventually("others are served", () =>
      world.open({ text: "worn" }).catch(() => undefined),
    );
    expect(again.stream.head()).toBe(2);
    fails = false;
    expect((await world.heard(4)).at(-1)).toMatchObject({ sub: meaning.stream.sub, doc: "b" });
    expect(world.told).toHaveLength(4);
  });

  test("in the middle of what it tells has nothing told twice", async () => {
    await using _silent = await silence();
    const mortal = new URL("./mortal-teller.ts", import.meta.url).href;
    await using world = await openWorld({ workerUrl: mortal });
    const [first, ...others] = await Promise.all(
      Array.from({ length: 8 }, (_, n) => world.open({ text: `tyres ${n}`, min_score: 0.5 })),
    );
    await world.put({ a: "tyres" }, { note: "n".repeat(60_000) });
    await world.heard(8);
    await world.put({ b: "tyres" });
    const frames = await world.heard(16);
    const told = frames.map(({ sub, doc }) => `${sub} ${doc}`);
    expect(new Set(told).size).toBe(told.length);
    expect(others).toHaveLength(7);
    expect(first?.stream.head()).toBe(2);
  });

  test("before it has opened anything fails the query, and the next one tries again", async () => {
    await using _silent = await silence();
    const nowhere = new URL("./no-such-worker.ts", import.meta.url).href;
    await using world = await openWorld({ workerUrl: nowhere });
    for (let round = 0; round < 2; round++) {
      const failure = await world.open({}).catch((error: unknown) => error);
      expect(String(failure)).toContain("no-such-worker");
    }
  });
});
