import { describe, expect, test } from "bun:test";
import { eventually } from "../../support/process.ts";
import { openWorld, written } from "./world.ts";

describe("a keyword query", () => {
  test("is told of a document at its commit, before it has vectors", async () => {
    await using world = await openWorld();
    const { stream, minScore, model } = await world.open({ text: "soft tyres" });
    expect([minScore, model]).toEqual([1, "static-256"]);
    await world.put({ a: "The soft tyre lasted.", b: "Soft ground.", c: "Rain." });
    const [frame, ...others] = await world.heard(1);
    expect(others).toEqual([]);
    expect(frame).toEqual({
      type: "match",
      sub: stream.sub,
      offset: 1,
      doc: "a",
      version: 1,
      event: "insert",
      score: 1,
      data: { title: "Title of a", metadata: {} },
    });
    await eventually(
      "the head moves past what does not match",
      () => stream.head() === 3 || undefined,
    );
  });

  test("matches with a share of its words where it asks for less than all", async () => {
    await using world = await openWorld();
    await world.open({ text: "soft tyres in rain", min_score: 0.6 });
    await world.put({ one: "rain", two: "rain on soft ground", three: "soft tyres, heavy rain" });
    const frames = await world.heard(2);
    expect(frames.map(({ doc, score }) => [doc, score])).toEqual([
      ["two", 2 / 3],
      ["three", 1],
    ]);
  });

  test("wants its phrases word for word, in the title or in the text", async () => {
    await using world = await openWorld();
    await world.open({ text: '"safety car" out' });
    await world.put({
      apart: "The car was out for safety.",
      together: "The safety car is out.",
    });
    await world.store.writeDocuments(world.collectionKey, [
      { ...written("title", "Everybody out"), title: "Safety car" },
      { ...written("between", "car, all out"), title: "Safety" },
    ]);
    expect((await world.heard(2)).map(({ doc }) => doc)).toEqual(["together", "title"]);
  });

  test("reads a text across the chunks that it is cut into", async () => {
    await using world = await openWorld();
    await world.open({ text: '"pit lane"', fields: ["text"] });
    const text = "Everybody waits. In the pit lane nothing moves.";
    const chunks = [
      { start: 0, end: 27, heading: null },
      { start: 17, end: text.length, heading: null },
    ];
    await world.store.writeDocuments(world.collectionKey, [{ ...written("a", text), chunks }]);
    const [frame] = await world.heard(1);
    expect(frame?.data).toEqual({ text: text.slice(17) });
  });
});

describe("a semantic query", () => {
  test("is told when the document has its vectors", async () => {
    await using world = await openWorld();
    const { stream } = await world.open({
      text: "worn tyres",
      mode: "semantic",
      min_score: 0.4,
    });
    await world.put({ a: "The tyres are worn.", b: "Tea with milk and sugar." });
    await world.embed();
    const [frame, ...others] = await world.heard(1);
    expect(others).toEqual([]);
    expect(frame).toMatchObject({ doc: "a", offset: 1, event: "insert" });
    expect(frame?.score).toBeGreaterThan(0.4);
    await eventually("the head is at the last change", () => stream.head() === 2 || undefined);
  });

  test("never passes a document that still waits for its vectors", async () => {
    await using world = await openWorld();
    const { stream } = await world.open({ text: "tyres", mode: "semantic", min_score: 0.4 });
    const words = await world.open({ text: "nothing at all" });
    await world.put({ first: "tyres", second: "tyres" });
    await world.embed("second");
    await eventually("the keyword lane is there", () => words.stream.head() === 2 || undefined);
    expect(stream.head()).toBe(0);
    expect(world.told).toEqual([]);
    await world.embed("first");
    expect((await world.heard(2)).map(({ doc }) => doc)).toEqual(["first", "second"]);
  });

  test("is told once of a document that was written twice before its vectors came", async () => {
    await using world = await openWorld();
    await world.open({ text: "tyres", mode: "semantic", min_score: 0.4 });
    await world.put({ a: "tyres" });
    await world.put({ a: "worn tyres" });
    await world.embed();
    await world.heard(1);
    await world.put({ a: "worn tyres" }, { lap: 2 });
    const frames = await world.heard(2);
    expect(frames.map(({ event, version }) => [event, version])).toEqual([
      ["insert", 2],
      ["update", 3],
    ]);
  });

  test("takes the best chunk of a document, and shows it", async () => {
    await using world = await openWorld();
    await world.open({ text: "worn tyres", mode: "semantic", min_score: 0.4, fields: ["text"] });
    const text = "Tea with milk and sugar. Worn tyres. The weather in May.";
    const chunks = [
      { start: 0, end: 25, heading: null },
      { start: 25, end: 37, heading: null },
      { start: 37, end: text.length, heading: null },
    ];
    await world.store.writeDocuments(world.collectionKey, [{ ...written("a", text), chunks }]);
    await world.embed();
    const [frame] = await world.heard(1);
    expect(frame?.data).toEqual({ text: "Worn tyres. " });
    expect(frame?.score).toBeGreaterThan(0.99);
  });
});

test("a hybrid query adds what words and meaning say", async () => {
  await using world = await openWorld({
    collection: { fusion: { method: "weighted", weight: 0.4 } },
  });
  const [semantic] = await Promise.all([
    world.open({ text: "worn tyres", mode: "semantic", min_score: -1 }),
    world.open({ text: "worn tyres", mode: "hybrid", min_score: 0.35 }),
  ]);
  await world.put({ a: "These tyres hold.", b: "Milk and sugar." });
  await world.embed();
  const frames = await world.heard(3);
  const cosine = frames.find(({ sub, doc }) => sub === semantic.stream.sub && doc === "a")?.score;
  const hybrid = frames.filter(({ sub }) => sub !== semantic.stream.sub);
  expect(hybrid.map(({ doc }) => doc)).toEqual(["a"]);
  expect(hybrid[0]?.score).toBeCloseTo(0.4 * (cosine ?? 0) + 0.6 * 0.5, 12);
});

test("a filter lets through what it would in a search", async () => {
  await using world = await openWorld();
  await world.open({ filter: { team: "red", lap: { $gt: 3 } } });
  await world.put({ a: "tyres" }, { team: "red", lap: 3 });
  await world.put({ b: "tyres" }, { team: "red", lap: 4 });
  await world.put({ c: "tyres" }, { team: "Red", lap: 4 });
  await world.put({ d: "tyres" }, { team: "red", lap: 5 });
  expect((await world.heard(2)).map(({ doc }) => doc)).toEqual(["b", "d"]);
});

test("a match carries the fields that were asked for", async () => {
  await using world = await openWorld();
  await world.open({ fields: ["title"] });
  await world.open({ fields: ["metadata.car.number", "metadata.car.__proto__", "metadata.lap"] });
  await world.open({ fields: [] });
  await world.put({ a: "tyres" }, { lap: 1, car: { number: 44, driver: "x" }, team: "red" });
  const frames = await world.heard(3);
  expect(frames.map(({ data }) => JSON.stringify(data)).toSorted()).toEqual([
    '{"metadata":{"car":{"number":44},"lap":1}}',
    '{"title":"Title of a"}',
    "{}",
  ]);
});

test("a query hears only of the events that it asked for", async () => {
  await using world = await openWorld();
  const inserts = await world.open({ on: ["insert"] });
  const updates = await world.open({ on: ["update"] });
  await world.put({ a: "tyres" });
  await world.heard(1);
  await world.put({ a: "tyres again" });
  const frames = await world.heard(2);
  expect(frames.map(({ sub, event }) => [sub, event])).toEqual([
    [inserts.stream.sub, "insert"],
    [updates.stream.sub, "update"],
  ]);
});

test("collections do not hear of each other", async () => {
  await using world = await openWorld();
  const { key } = await world.store.createCollection({
    ...(await world.store.collection("news").then((row) => {
      if (row === undefined) throw new Error("the collection is there");
      return row;
    })),
    name: "other",
    dimensions: 256,
  });
  await world.open({});
  const other = await world.open({ collection: "other" });
  await world.store.writeDocuments(key, [written("b", "tyres")]);
  const frames = await world.heard(1);
  expect(frames.map(({ sub, doc }) => [sub, doc])).toEqual([[other.stream.sub, "b"]]);
});
