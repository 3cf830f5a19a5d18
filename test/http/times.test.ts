import { expect, test } from "bun:test";
import { startServer, type TestServer } from "../support/server.ts";
import { idsOf, writeRules } from "./answers.ts";

const ASKED = 200;

/** Time that a quarter of many requests stays below, ms: what the server takes where the machine has no other work. */
async function quickMs(server: TestServer, target: string): Promise<number> {
  const times: number[] = [];
  for (let asked = 0; asked < ASKED; asked++) {
    const start = performance.now();
    expect((await server.call(target)).status).toBe(200);
    times.push(performance.now() - start);
  }
  return times.toSorted((a, b) => a - b)[ASKED / 4] ?? Infinity;
}

test("liveness takes less than a millisecond, readiness and the start less than five", async () => {
  await using server = await startServer();
  expect(await quickMs(server, "GET /health/live")).toBeLessThan(1);
  expect(await quickMs(server, "GET /health/ready")).toBeLessThan(5);
  expect(await quickMs(server, "GET /health/startup")).toBeLessThan(5);
});

test("a second search by meaning takes less than half a second, model and index being there", async () => {
  await using server = await startServer();
  const model = "all-MiniLM-L6-v2";
  await server.call("POST /api/v1/collections", { name: "rules", model });
  await writeRules(server, [{ id: "a", text: "A red flag stops the race." }]);
  const search = (query: string) =>
    server.call("POST /api/v1/collections/rules/search", { query, mode: "semantic" });
  await search("What ends a race early?");
  const start = performance.now();
  expect(idsOf(await search("When does everybody have to stop?"))).toEqual(["a"]);
  expect(performance.now() - start).toBeLessThan(500);
});
