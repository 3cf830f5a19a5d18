import { describe, expect, test } from "bun:test";
import { SearchResultSchema } from "../../src/contract/search.ts";
import { ENGINE_COMMAND } from "../../src/engine/child-command.ts";
import { canListChildren, childrenOf } from "../support/child-processes.ts";
import { eventually } from "../support/process.ts";
import type { Answer, TestServer } from "../support/server.ts";
import { createRules, expectProblem, read } from "./answers.ts";
import { DOCUMENTS, enginesInOrder, fill, idsIn, SEARCH, startEngines } from "./engine-server.ts";

/** A server with two documents whose vectors are the caller's, so that it has no children but its two engines. */
async function startSmall(): Promise<TestServer> {
  const server = await startEngines({ LOG_LEVEL: "info" });
  await createRules(server, { model: "none", dimensions: 2 });
  const documents = [
    { id: "a", text: "red flag", vector: [1, 0] },
    { id: "b", text: "rain", vector: [0, 1] },
  ];
  expect((await server.call(DOCUMENTS, { documents })).status).toBe(200);
  return server;
}

/** The answer of a server that was just started to a search which no engine that it has now survives. */
async function outliveTwo(server: TestServer, body: unknown): Promise<Answer> {
  const [first = 0, second = 0] = enginesInOrder();
  for (const pid of [first, second]) process.kill(pid, "SIGSTOP");
  const answer = server.call(SEARCH, body, { "x-request-id": "deadly" });
  await eventually("the search has come", async () =>
    (await server.log()).includes('"deadly"') ? true : undefined,
  );
  // Its body was sent before these.
  for (let round = 0; round < 3; round++) await server.call("GET /health/live");
  // Of two that have nothing to do the first one is asked. What it had is given on before it is started again.
  process.kill(first, "SIGKILL");
  await eventually("it is started again", () =>
    enginesInOrder().some((pid) => pid !== first && pid !== second) ? true : undefined,
  );
  process.kill(second, "SIGKILL");
  return answer;
}

// Engines are stopped and killed by their ids.
describe.skipIf(!canListChildren)("a search over which engines end", () => {
  const hybrid = { query: "flag", vector: [0, 1], mode: "hybrid" };

  test("is answered by its words where it has some, and the answer says so", async () => {
    await using server = await startSmall();
    const whole = read(SearchResultSchema, await server.call(SEARCH, hybrid));
    expect(whole.hits).toHaveLength(2);
    expect(whole).not.toHaveProperty("degraded");
    const degraded = read(SearchResultSchema, await outliveTwo(server, hybrid));
    expect(degraded).toMatchObject({ degraded: true, hits: [{ id: "a" }] });
    expect(degraded.hits).toHaveLength(1);
    // The next one is as before.
    const again = read(SearchResultSchema, await server.call(SEARCH, hybrid));
    expect(again.hits).toEqual(whole.hits);
    expect(again).not.toHaveProperty("degraded");
  });

  test("for words alone is answered as if nothing had been", async () => {
    await using server = await startSmall();
    const answer = await outliveTwo(server, { query: "flag", mode: "keyword" });
    expect(read(SearchResultSchema, answer)).not.toHaveProperty("degraded");
    expect(idsIn(answer)).toEqual(["a"]);
  });

  test("by meaning alone is refused with engine_lost, and the next one is not", async () => {
    await using server = await startSmall();
    const refused = await outliveTwo(server, { vector: [0, 1], mode: "semantic" });
    expectProblem(refused, 503, "engine_lost");
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(idsIn(await server.call(SEARCH, { vector: [0, 1], k: 1 }))).toEqual(["b"]);
  });

  test("that takes longer than REQUEST_TIMEOUT is refused with timeout, and its engine comes back", async () => {
    await using server = await startEngines({ REQUEST_TIMEOUT: "1", ENGINES: "1" });
    await createRules(server, { model: "none", dimensions: 2 });
    const [pid = 0] = enginesInOrder();
    process.kill(pid, "SIGSTOP");
    const refused = await server.call(SEARCH, { vector: [1, 0] });
    expectProblem(refused, 504, "timeout");
    expect((await server.call(SEARCH, { vector: [1, 0] })).status).toBe(200);
    expect(enginesInOrder()).not.toContain(pid);
  });
});

const CRASHES = 10;

// As above.
test.skipIf(!canListChildren)(
  `${CRASHES} times an engine crashes under load: no request fails but for 503 with Retry-After, nothing is lost, and meaning is back in 2 s`,
  async () => {
    // Sealed often, so that crashes meet that too.
    await using server = await startEngines({ INDEX_SEAL_ROWS: "100" });
    await fill(server);
    const load = startLoad(server);
    const slowest: number[] = [];
    for (let crash = 0; crash < CRASHES; crash++) {
      const engines = childrenOf(ENGINE_COMMAND);
      const pid = engines[crash % engines.length] ?? 0;
      const before = load.counts();
      process.kill(pid, "SIGSEGV");
      await eventually("it is gone", () =>
        childrenOf(ENGINE_COMMAND).includes(pid) ? undefined : true,
      );
      const start = performance.now();
      await eventually("searches by meaning are back", async () => {
        const answer = await server.call(SEARCH, { query: "stop the race", mode: "semantic" });
        return answer.status === 200 ? true : undefined;
      });
      slowest.push(performance.now() - start);
      await eventually("all kinds of requests were answered since", () => {
        const now = load.counts();
        return now.every((count, at) => count > (before[at] ?? 0) + 3) ? true : undefined;
      });
    }
    const { failures, acknowledged } = await load.stop();
    expect(failures).toEqual([]);
    expect(Math.max(...slowest)).toBeLessThan(2000);
    expect(acknowledged.length).toBeGreaterThan(CRASHES);
    for (const id of acknowledged) {
      const search = { query: `word${id}q`, mode: "keyword", k: 1 };
      const found = await Promise.all([server.call(SEARCH, search), server.call(SEARCH, search)]);
      expect(found.map(idsIn)).toEqual([[id], [id]]);
    }
    const report = await server.call("POST /api/v1/admin/verify");
    expect(report.json).toMatchObject({ ok: true });
  },
  120_000,
);

/** Searches of each kind and writes, one after the other each, until it is stopped. */
function startLoad(server: TestServer) {
  const failures: unknown[] = [];
  const acknowledged: string[] = [];
  const counts = [0, 0, 0, 0];
  const stop = new AbortController();
  const loop = async (
    kind: number,
    ask: (round: number) => Promise<Answer>,
    check: (answer: Answer, round: number) => void,
  ): Promise<void> => {
    for (let round = 0; !stop.signal.aborted; round++) {
      const answer = await ask(round);
      counts[kind] = (counts[kind] ?? 0) + 1;
      const refused = answer.status === 503 && answer.headers.has("retry-after");
      if (answer.status === 200) check(answer, round);
      else if (kind === 0 || !refused) failures.push({ kind, ...shown(answer) });
    }
  };
  const search = (mode: string) => () => server.call(SEARCH, { query: "red flag", mode, k: 3 });
  const requireHits = (answer: Answer): void => {
    if (idsIn(answer).length !== 3) failures.push(shown(answer));
  };
  const write = (round: number) => {
    const id = idOf(round);
    return server.call(DOCUMENTS, { documents: [{ id, text: `some text with word${id}q` }] });
  };
  const running = [
    loop(0, search("keyword"), requireHits),
    loop(1, search("hybrid"), requireHits),
    loop(2, search("semantic"), requireHits),
    loop(3, write, (_answer, round) => void acknowledged.push(idOf(round))),
  ];
  return {
    counts: () => [...counts],
    async stop() {
      stop.abort();
      await Promise.all(running);
      return { failures, acknowledged };
    },
  };
}

/** Letters alone, so that no stemmer changes two of them to one. */
function idOf(round: number): string {
  return String(round).replaceAll(/\d/g, (digit) => "bcdfghjklm"[Number(digit)] ?? "");
}

const shown = ({ status, text }: Answer) => ({ status, text: text.slice(0, 300) });
