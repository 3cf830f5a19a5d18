import { describe, expect, test } from "bun:test";
import { canListChildren } from "../support/child-processes.ts";
import { seededRandom } from "../e2e/distinct-documents.ts";
import { createRules, expectProblem, readCollection } from "./answers.ts";
import { DOCUMENTS, enginesInOrder, idsIn, SEARCH, startEngines } from "./engine-server.ts";

const SEED = 99;

const vectorOf = (at: number): number[] => [Math.cos(at / 40), Math.sin(at / 40)];

describe("a search of engines in processes of their own", () => {
  test("finds what was written as soon as the write is acknowledged, and no longer what was deleted", async () => {
    await using server = await startEngines({ INDEX_SEAL_ROWS: "100" });
    await createRules(server, { model: "none", dimensions: 2 });
    for (let at = 0; at < 200; at++) {
      const id = `d${at}`;
      const documents = [{ id, text: `common only${at}x`, vector: vectorOf(at) }];
      expect((await server.call(DOCUMENTS, { documents })).status).toBe(200);
      // Both engines: a call goes to the least busy one.
      const found = await Promise.all([
        server.call(SEARCH, { query: `only${at}x`, mode: "keyword", k: 1 }),
        server.call(SEARCH, { query: `only${at}x`, mode: "keyword", k: 1 }),
        server.call(SEARCH, { vector: vectorOf(at), k: 1 }),
        server.call(SEARCH, { vector: vectorOf(at), k: 1 }),
      ]);
      expect(found.map(idsIn)).toEqual([[id], [id], [id], [id]]);
      if (at % 2 > 0) continue;
      await server.call(`DELETE /api/v1/collections/rules/documents/${id}`);
      const gone = await Promise.all([
        server.call(SEARCH, { query: `only${at}x`, mode: "keyword", k: 1 }),
        server.call(SEARCH, { query: `only${at}x`, mode: "keyword", k: 1 }),
        server.call(SEARCH, { vector: vectorOf(at), k: 1 }),
        server.call("GET /api/v1/collections/rules/documents?limit=1000"),
      ]);
      expect(gone.slice(0, 2).map(idsIn)).toEqual([[], []]);
      expect(gone.every(({ text }) => !text.includes(`"${id}"`))).toBe(true);
    }
    expect(await server.log()).toBe("");
  });

  test(`has every document in every engine, whatever is sealed meanwhile (seed ${SEED})`, async () => {
    await using server = await startEngines({ ENGINES: "3", INDEX_SEAL_ROWS: "100" });
    await createRules(server, { model: "none", dimensions: 2 });
    const random = seededRandom(SEED);
    const live = new Map<string, number>();
    for (let round = 0; round < 25; round++) {
      const numbers = Array.from({ length: 60 }, () => Math.floor(random() * 700));
      const documents = numbers.map((number) => ({
        id: `d${number}`,
        text: `common round${round}x`,
        vector: [Math.cos(random()), Math.sin(random())],
      }));
      expect((await server.call(DOCUMENTS, { documents })).status).toBe(200);
      for (const { id } of documents) live.set(id, round);
      const ids = [...live.keys()].filter(() => random() < 0.04);
      await server.call(`${DOCUMENTS}/delete`, { ids });
      for (const id of ids) live.delete(id);
      const all = [...live.keys()].toSorted();
      const ofRound = all.filter((id) => live.get(id) === round);
      const asked: [Record<string, unknown>, string[]][] = [
        [{ query: "common", mode: "keyword", k: 1000 }, all],
        [{ query: `round${round}x`, mode: "keyword", k: 1000 }, ofRound],
        [{ vector: [1, 0], mode: "semantic", group_by: "chunk", k: 1000 }, all],
      ];
      for (const [search, expected] of asked) {
        // One for each engine: a call goes to the least busy one.
        const answers = await Promise.all([1, 2, 3].map(() => server.call(SEARCH, search)));
        for (const answer of answers) expect(idsIn(answer).toSorted()).toEqual(expected);
      }
    }
    const state = readCollection(await server.call("GET /api/v1/collections/rules"));
    expect(state.segments).toBeGreaterThan(1);
    expect(await server.log()).toBe("");
  });

  test("finds what was written to a collection that was made a moment before, whichever engine is asked", async () => {
    await using server = await startEngines();
    for (let at = 0; at < 30; at++) {
      const path = `/api/v1/collections/c${at}`;
      await server.call("POST /api/v1/collections", {
        name: `c${at}`,
        model: "none",
        dimensions: 2,
      });
      await server.call(`POST ${path}/documents`, { documents: [{ id: "a", vector: [1, 0] }] });
      const found = await Promise.all(
        [1, 2, 3].map(() => server.call(`POST ${path}/search`, { vector: [1, 0], k: 1 })),
      );
      expect(found.map(idsIn)).toEqual([["a"], ["a"], ["a"]]);
      await server.call(`DELETE ${path}`);
      expectProblem(
        await server.call(`POST ${path}/search`, { vector: [1, 0] }),
        404,
        "collection_not_found",
      );
    }
    expect(await server.log()).toBe("");
  });

  test("goes to the collection that a name stands for at that moment", async () => {
    await using server = await startEngines();
    const target = "POST /api/v1/collections/live/search";
    const find = async () => {
      const search = { vector: [1, 0], k: 1 };
      const found = await Promise.all([server.call(target, search), server.call(target, search)]);
      return found.map((answer) => (answer.status === 200 ? idsIn(answer) : answer.status));
    };
    for (const name of ["a", "b"]) {
      await server.call("POST /api/v1/collections", { name, model: "none", dimensions: 2 });
      const documents = [{ id: `of-${name}`, vector: [1, 0] }];
      await server.call(`POST /api/v1/collections/${name}/documents`, { documents });
    }
    for (let round = 0; round < 20; round++) {
      for (const name of ["a", "b"]) {
        await server.call("PUT /api/v1/aliases/live", { collection: name });
        expect(await find()).toEqual([[`of-${name}`], [`of-${name}`]]);
      }
      await server.call("DELETE /api/v1/aliases/live");
      expect(await find()).toEqual([404, 404]);
    }
    expect(await server.log()).toBe("");
  });

  test.skipIf(!canListChildren)(
    "finds it also where an engine hears of the collection only with the search",
    async () => {
      await using server = await startEngines();
      const [, follower = 0] = enginesInOrder();
      for (let at = 0; at < 5; at++) {
        const path = `/api/v1/collections/c${at}`;
        process.kill(follower, "SIGSTOP");
        await server.call("POST /api/v1/collections", {
          name: `c${at}`,
          model: "none",
          dimensions: 2,
        });
        await server.call(`POST ${path}/documents`, { documents: [{ id: "a", vector: [1, 0] }] });
        const searches = [1, 2, 3, 4].map(() =>
          server.call(`POST ${path}/search`, { vector: [1, 0], k: 1 }),
        );
        await server.call("GET /health/live");
        process.kill(follower, "SIGCONT");
        expect((await Promise.all(searches)).map(idsIn)).toEqual([["a"], ["a"], ["a"], ["a"]]);
      }
    },
  );
});
