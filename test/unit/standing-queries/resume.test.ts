import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { limits } from "../../../src/limits.ts";
import { eventually } from "../../support/process.ts";
import { problemOf } from "../problems/problem-of.ts";
import { openWorld, replayed, written, type World } from "./world.ts";

const position = (world: World, offset: number) => ({
  since: { epoch: world.store.epoch, offset },
});

const at = async ({ stream }: Awaited<ReturnType<World["open"]>>, offset: number) =>
  eventually(`the head is ${offset}`, () => stream.head() === offset || undefined);

describe("a resume of a standing query", () => {
  test("gives what changed since, in order, each document once with its last change", async () => {
    await using world = await openWorld();
    const query = await world.open({});
    await world.put({ old: "tyres", gone: "tyres", quiet: "tyres" });
    await world.put({ fresh: "new tyres", other: "rain" });
    await world.put({ old: "tyres, worn" });
    await world.remove("gone");
    await world.put({ fresh: "newer tyres" });
    await at(query, 8);
    const resume = await query.stream.resume(position(world, 3));
    expect(resume).toEqual({
      epoch: world.store.epoch,
      offset: 8,
      recovered: true,
      after: 3,
      replay: 4,
    });
    const frames = await replayed(query, 3);
    expect(frames.map(({ doc, event, offset, replay }) => [doc, event, offset, replay])).toEqual([
      ["old", "update", 6, true],
      ["fresh", "insert", 8, true],
    ]);
  });

  test("gives nothing where nothing was missed, and nothing without a position", async () => {
    await using world = await openWorld();
    await world.put({ a: "tyres" });
    const { stream } = await world.open({});
    const whole = { epoch: world.store.epoch, offset: 1, after: 1, replay: 0 };
    expect(await stream.resume(position(world, 1))).toEqual({ ...whole, recovered: true });
    expect(await stream.resume({})).toEqual({ ...whole, recovered: false });
    expect(await stream.resume({ history: 10 })).toEqual({ ...whole, recovered: false });
  });

  test("says why it cannot go on", async () => {
    await using world = await openWorld();
    await world.put({ a: "tyres" });
    const { stream } = await world.open({});
    const other = await stream.resume({ since: { epoch: "another", offset: 0 } });
    expect(other).toMatchObject({ recovered: false, reason: "epoch_changed", after: 1, replay: 0 });
    const ahead = await stream.resume(position(world, 2));
    expect(ahead).toMatchObject({ recovered: false, reason: "ahead", after: 1 });
  });

  test("is refused once more documents changed than it looks at", async () => {
    await using world = await openWorld({ collection: { model: "none", modelSha256: null } });
    const { stream } = await world.open({});
    const count = limits.standingChangesMax + 1;
    for (let start = 0; start < count; start += 100) {
      const some = Array.from({ length: Math.min(100, count - start) }, (_, index) =>
        written(`d${start + index}`, "rain"),
      );
      await world.store.writeDocuments(world.collectionKey, some);
    }
    await eventually("all are matched", () => stream.head() === count || undefined);
    expect(await stream.resume(position(world, 0))).toMatchObject({ reason: "too_old", replay: 0 });
    expect(await stream.resume(position(world, 1))).toMatchObject({
      recovered: true,
      replay: limits.standingChangesMax,
    });
  });

  test("comes in pages of as many frames and bytes as are wanted", async () => {
    await using world = await openWorld();
    const query = await world.open({});
    const ids = Array.from({ length: 30 }, (_, index) => `d${index}`);
    await world.put(Object.fromEntries(ids.map((id) => [id, "tyres"])));
    await at(query, 30);
    const range = { after: 0, upTo: 30, framesMax: 7, bytesMax: 1e6 };
    const page = await query.stream.read(range);
    expect([page.frames.length, page.upTo]).toEqual([7, 7]);
    const small = await query.stream.read({ ...range, bytesMax: 1 });
    expect([small.frames.length, small.upTo]).toEqual([1, 1]);
    const frames = await replayed(query, 0, { framesMax: 7, bytesMax: 700 });
    expect(frames.map(({ doc }) => doc)).toEqual(ids);
  });

  test("of a semantic query scores as the first telling did", async () => {
    await using world = await openWorld();
    const query = await world.open({ text: "worn tyres", mode: "semantic", min_score: 0.2 });
    await world.put({ a: "The tyres are worn.", b: "New tyres.", c: "Milk and sugar." });
    await world.embed();
    await at(query, 3);
    const live = world.told.map(({ doc, score, data }) => ({ doc, score, data }));
    const again = await replayed(query, 0);
    expect(again.map(({ doc, score, data }) => ({ doc, score, data }))).toEqual(live);
    expect(live.length).toBeGreaterThan(0);
  });

  test("works after a restart as before it", async () => {
    await using world = await openWorld();
    const definition = { text: "worn tyres", mode: "hybrid", min_score: 0.2 } as const;
    const before = await world.open(definition);
    await world.put({ a: "worn tyres", b: "new tyres" });
    await world.embed();
    await at(before, 2);
    const frames = await replayed(before, 0);
    await world.restart();
    const after = await world.open(definition);
    expect(after.stream.sub).toBe(before.stream.sub);
    expect(after.stream.head()).toBe(2);
    expect(await after.stream.resume(position(world, 1))).toMatchObject({
      recovered: true,
      replay: 1,
    });
    expect(await replayed(after, 0)).toEqual(frames);
  });

  test("fails where the collection was dropped", async () => {
    await using world = await openWorld();
    const query = await world.open({});
    await world.put({ a: "tyres" });
    await at(query, 1);
    await world.store.dropCollection(world.collectionKey);
    const problem = await problemOf(() => replayed(query, 0));
    expect(problem.code).toBe("collection_not_found");
  });
});

test("whatever happens to the documents, who resumes knows of each what is true", async () => {
  const ids = ["a", "b", "c"];
  const step = fc.tuple(fc.constantFrom(...ids), fc.constantFrom("tyres", "rain", undefined));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.nat(12), async (steps, stop) => {
      await using world = await openWorld({ collection: { model: "none", modelSha256: null } });
      const query = await world.open({ on: ["insert", "update", "leave"] });
      const apply = async (some: typeof steps): Promise<void> => {
        for (const [id, text] of some) {
          if (text === undefined) await world.remove(id);
          else await world.put({ [id]: text });
        }
        await eventually(
          "all is told",
          () => query.stream.head() === world.store.sequence || undefined,
        );
      };
      await apply(steps.slice(0, stop));
      const since = query.stream.head();
      const known = new Set(inside(world.told));
      await apply(steps.slice(stop));
      for (const { doc, event } of await replayed(query, since)) {
        if (event === "leave") known.delete(doc);
        else known.add(doc);
      }
      const page = await world.store.documents({ collectionKey: world.collectionKey, limit: 10 });
      const matching = page.filter(({ text }) => text === "tyres").map(({ id }) => id);
      expect([...known].toSorted()).toEqual(matching);
      expect(inside(world.told).toSorted()).toEqual(matching);
    }),
    { seed: 20_260, numRuns: 15 },
  );
}, 60_000);

/** Documents that match, as somebody knows who heard all of these. */
function inside(frames: World["told"]): string[] {
  const known = new Set<string>();
  for (const { doc, event } of frames) {
    if (event === "leave") known.delete(doc);
    else known.add(doc);
  }
  return [...known];
}
