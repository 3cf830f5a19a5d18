import { expect, test } from "bun:test";
import { SearchResultSchema } from "../../src/contract/search.ts";
import { canListChildren } from "../support/child-processes.ts";
import { eventually } from "../support/process.ts";
import { shaped } from "../support/server.ts";
import { createRules, writeRules } from "./answers.ts";
import { enginesInOrder, SEARCH, startEngines } from "./engine-server.ts";

const DIMENSIONS = 64;

/** How long an answer may take that no other process is needed for; one that needs a stopped engine never comes. */
const ALONE_MS = 2000;

const vectorOf = (number: number): number[] =>
  Array.from({ length: DIMENSIONS }, (_, at) => Math.sin((number + 1) * (at + 1)));

const settled = async <T>(work: Promise<T>): Promise<T | undefined> =>
  Promise.race([work, Bun.sleep(ALONE_MS).then(() => undefined)]);

test.skipIf(!canListChildren)(
  "a search by vector alone is answered while no engine runs, and what was written is in the next one",
  async () => {
    await using server = await startEngines({ VECTOR_INDEX: "usearch" });
    await createRules(server, { model: "none", dimensions: DIMENSIONS });
    const documents = Array.from({ length: 30 }, (_, number) => ({
      id: `d${number}`,
      vector: vectorOf(number),
    }));
    await writeRules(server, documents);
    const search = (number: number) => server.call(SEARCH, { vector: vectorOf(number), k: 3 });
    const asEngines = shaped(SearchResultSchema, (await search(4)).json);
    const engines = enginesInOrder();
    const signal = (name: NodeJS.Signals): void => {
      for (const pid of engines) process.kill(pid, name);
    };
    const alone = await eventually("the server answers by itself", async () => {
      signal("SIGSTOP");
      const answer = search(4);
      const first = await settled(answer);
      signal("SIGCONT");
      await answer;
      return first;
    });
    expect(alone.status).toBe(200);
    expect(alone.headers.get("content-type")).toBe("application/json;charset=utf-8");
    const result = shaped(SearchResultSchema, alone.json);
    expect(result).toEqual({ ...asEngines, took_ms: expect.any(Number) });
    await writeRules(server, [{ id: "new", vector: vectorOf(100) }]);
    const after = shaped(SearchResultSchema, (await search(100)).json);
    expect(after.hits[0]?.id).toBe("new");
    expect((await server.call("DELETE /api/v1/collections/rules")).status).toBe(204);
    expect((await search(4)).status).toBe(404);
  },
);
