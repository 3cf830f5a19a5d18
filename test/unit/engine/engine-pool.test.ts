import { describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EngineStart } from "../../../src/boot/engine-child.ts";
import type { EngineAnswer, EngineRequest } from "../../../src/engine/calls.ts";
import { ENGINE_COMMAND } from "../../../src/engine/child-command.ts";
import { EnginePool, type CallOptions } from "../../../src/engine/engine-pool.ts";
import { limits } from "../../../src/limits.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { canListChildren, childrenOf } from "../../support/child-processes.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION, withVector } from "../store/fixtures.ts";
import { engineConfig, timeout } from "./engine-config.ts";

const engines = (): number[] => childrenOf(ENGINE_COMMAND);

/** A pool over a data directory with a collection of one document. */
async function openPool(count: number) {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(tempDir());
  const store = stack.use(await LocalStore.open(dir.path));
  const collection = await store.createCollection(COLLECTION);
  await store.writeDocuments(collection.key, [withVector("a", [1, 0])]);
  const sealed: [number, number][] = [];
  const config = engineConfig(dir.path);
  const pool = stack.use(
    new EnginePool({
      count,
      start: (number): EngineStart => ({ config, number }),
      onSealed: (...one) => void sealed.push(one),
    }),
  );
  await pool.opened();
  const owned = stack.move();
  const pidOf = (engine: number): number => {
    const pid = pool.states()[engine]?.pid ?? undefined;
    if (pid === undefined) throw new Error(`engine ${engine} does not run`);
    return pid;
  };
  return {
    pool,
    store,
    index: join(dir.path, "index"),
    collection,
    sealed,
    pidOf,
    signal: (engine: number, signal: NodeJS.Signals) => process.kill(pidOf(engine), signal),
    /** A call that takes a millisecond. */
    search: (options?: CallOptions) => pool.call<EngineAnswer>("request", SEARCH, options),
    inFlight: () => pool.states().map(({ in_flight }) => in_flight),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const SEARCH: EngineRequest = {
  method: "POST",
  target: "/api/v1/collections/rules/search",
  contentType: "application/json",
  body: new TextEncoder().encode('{"query":"text","vector":[1,0]}'),
  requestId: "r1",
};

const bodyOf = ({ body }: EngineAnswer): unknown => JSON.parse(new TextDecoder().decode(body));

/** Seconds of a transformer's time, which no signal but a kill ends. */
const LONG = {
  model: "all-MiniLM-L6-v2",
  texts: Array.from({ length: 500 }, () => "word ".repeat(200)),
};

// Engines are stopped and killed by their ids, and counted with ps.
describe.skipIf(!canListChildren)("EnginePool", () => {
  test("gives a call to the least busy engine, and to none more than it may have at once", async () => {
    await using opened = await openPool(2);
    const { search, signal, inFlight } = opened;
    for (const engine of [0, 1]) signal(engine, "SIGSTOP");
    const calls = [search(), search(), search()];
    expect(inFlight()).toEqual([2, 1]);
    calls.push(search());
    expect(inFlight()).toEqual([2, 2]);
    const full = 2 * limits.engineCallsInFlightMax;
    while (calls.length < full + 3) calls.push(search());
    expect(inFlight()).toEqual([limits.engineCallsInFlightMax, limits.engineCallsInFlightMax]);
    for (const engine of [0, 1]) signal(engine, "SIGCONT");
    for (const answer of await Promise.all(calls))
      expect(bodyOf(answer)).toMatchObject({ hits: [{ id: "a" }] });
    expect(inFlight()).toEqual([0, 0]);
  });

  test("has another engine answer what a killed one had, and starts that one again", async () => {
    await using opened = await openPool(2);
    const { pool, search, signal, pidOf, inFlight } = opened;
    const pid = pidOf(1);
    for (const engine of [0, 1]) signal(engine, "SIGSTOP");
    const calls = [search(), search(), search(), search()];
    expect(inFlight()).toEqual([2, 2]);
    signal(1, "SIGKILL");
    signal(0, "SIGCONT");
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    await eventually("the engine serves again", () =>
      pool.states()[1]?.state === "ready" && pidOf(1) !== pid ? true : undefined,
    );
    expect(pool.states().map(({ restarts }) => restarts)).toEqual([0, 1]);
  });

  test("tries a call that engines end over once more as it was, and then in its last form", async () => {
    await using opened = await openPool(2);
    const { search, signal, inFlight } = opened;
    for (const engine of [0, 1]) signal(engine, "SIGSTOP");
    const call = search({ lastArgs: { ...SEARCH, degraded: true } });
    expect(inFlight()).toEqual([1, 0]);
    signal(0, "SIGKILL");
    await eventually("the other engine has it", () => (inFlight()[1] === 1 ? true : undefined));
    signal(1, "SIGKILL");
    expect(bodyOf(await call)).toMatchObject({ hits: [{ id: "a" }], degraded: true });
  });

  test("gives a call up with engine_lost when engines end over its last form too", async () => {
    await using opened = await openPool(2);
    const { pool, signal, search } = opened;
    for (const [lastArgs, kills] of [
      [LONG, 3],
      [undefined, 2],
    ] as const) {
      const lost = problemOf(() => pool.call("embedTexts", LONG, { lastArgs }));
      for (let kill = 0; kill < kills; kill++) {
        const engine = await eventually("an engine has the call", () => {
          const at = pool.states().findIndex(({ in_flight }) => in_flight > 0);
          return at < 0 ? undefined : at;
        });
        signal(engine, "SIGKILL");
        await eventually("its end is known", () =>
          pool.states()[engine]?.in_flight === 0 ? true : undefined,
        );
      }
      const problem = await lost;
      expect([problem.code, problem.retryAfterMs]).toEqual(["engine_lost", 1000]);
    }
    expect((await search()).status).toBe(200);
  });

  test("ends an engine that has a call for longer than it may, and gives its other calls to the next one", async () => {
    await using opened = await openPool(1);
    const { pool, search, signal, pidOf } = opened;
    const pid = pidOf(0);
    signal(0, "SIGSTOP");
    const patient = search();
    const problem = await problemOf(() => search({ deadlineMs: 50 }));
    expect(problem.code).toBe("timeout");
    expect(problem.detail).toContain("REQUEST_TIMEOUT");
    expect((await patient).status).toBe(200);
    expect(pidOf(0)).not.toBe(pid);
    expect(pool.states()).toMatchObject([{ state: "ready", restarts: 1 }]);
    expect((await search({ deadlineMs: 10_000 })).status).toBe(200);
  });

  test("ends no engine over a call that never came to one", async () => {
    await using opened = await openPool(1);
    const { search, signal, pidOf } = opened;
    const pid = pidOf(0);
    signal(0, "SIGSTOP");
    const others = Array.from({ length: limits.engineCallsInFlightMax }, () => search());
    expect((await problemOf(() => search({ deadlineMs: 50 }))).code).toBe("timeout");
    signal(0, "SIGCONT");
    await Promise.all(others);
    expect(pidOf(0)).toBe(pid);
  });

  test("refuses more calls than may wait, each kind by itself", async () => {
    await using opened = await openPool(1);
    const { search, signal } = opened;
    signal(0, "SIGSTOP");
    const room = limits.engineCallsInFlightMax + limits.engineCallsQueuedMax;
    const outcomes = Promise.allSettled(Array.from({ length: room }, () => search()));
    const refused = await problemOf(() => search());
    expect([refused.code, refused.retryAfterMs]).toEqual(["busy", 1000]);
    const behind = search({ background: true });
    signal(0, "SIGCONT");
    expect((await outcomes).every(({ status }) => status === "fulfilled")).toBe(true);
    expect((await behind).status).toBe(200);
  });

  test("lets what may wait go behind all calls", async () => {
    await using opened = await openPool(1);
    const { search, signal } = opened;
    const order: string[] = [];
    const note = (name: string) => () => order.push(name);
    signal(0, "SIGSTOP");
    const busy = Array.from({ length: limits.engineCallsInFlightMax }, () => search());
    const waiting = [
      search({ background: true }).then(note("behind")),
      ...Array.from({ length: 8 }, () => search().then(note("call"))),
    ];
    signal(0, "SIGCONT");
    await Promise.all([...busy, ...waiting]);
    // Those that were sent with it may be answered after it.
    expect(order.slice(0, 5)).toEqual(["call", "call", "call", "call", "call"]);
  });

  test("lets a call for the owner of the files wait for it, and no other call wait for that", async () => {
    await using opened = await openPool(2);
    const { pool, collection, search, signal, pidOf } = opened;
    const pid = pidOf(0);
    signal(0, "SIGKILL");
    await eventually("its end is known", () =>
      pool.states()[0]?.state === "starting" ? true : undefined,
    );
    const report = pool.call("report", collection.key, { engine: 0 });
    expect((await search()).status).toBe(200);
    expect(await report).toMatchObject({ vectors: 1 });
    expect(pidOf(0)).not.toBe(pid);
  });

  test("tells what the owner has sealed", async () => {
    await using opened = await openPool(2);
    const { pool, collection, sealed, search } = opened;
    await pool.call("compact", collection.key, { engine: 0 });
    await eventually("it is told", () => (sealed.length > 0 ? true : undefined));
    expect(sealed.at(-1)).toEqual([collection.key, 2]);
    for (const answer of await Promise.all([search(), search()]))
      expect(bodyOf(answer)).toMatchObject({ hits: [{ id: "a" }] });
  });

  test("has the owner put aside what ended another engine when it opened it", async () => {
    await using opened = await openPool(2);
    const { pool, collection, index, search, signal } = opened;
    await pool.call("compact", collection.key, { engine: 0 });
    const folder = join(index, String(collection.key), "vectors");
    const suspects = readdirSync(folder).filter((name) => name !== "manifest.json");
    expect(suspects).not.toEqual([]);
    // As it is left by an engine that ended while it opened them.
    writeFileSync(join(folder, "opening-1.json"), suspects.join("\n"));
    signal(1, "SIGKILL");
    await eventually("the owner has looked at them", () => {
      const [owner, other] = pool.states();
      const both = owner?.state === "ready" && other?.state === "ready";
      return both && owner.restarts === 1 ? true : undefined;
    });
    expect(readdirSync(join(index, "quarantine"))).toHaveLength(suspects.length);
    expect(readdirSync(folder).filter((name) => name.startsWith("suspect"))).toEqual([]);
    // What they held is read again from the store.
    for (const answer of await Promise.all([search(), search()]))
      expect(bodyOf(answer)).toMatchObject({ hits: [{ id: "a" }] });
    expect(pool.states().map(({ restarts }) => restarts)).toEqual([1, 1]);
  });

  test("passes on what a call itself has thrown", async () => {
    await using opened = await openPool(1);
    const { pool } = opened;
    const fault = await pool.call("dance", {}).catch((reason: unknown) => reason);
    expect(String(fault)).toContain("no call named dance");
    const unknown = () => pool.call("embedTexts", { model: "gpt-9", texts: ["text"] });
    expect((await problemOf(unknown)).code).toBe("unknown_model");
  });

  test("waits longer before each start of an engine that dies again and again", async () => {
    await using opened = await openPool(1);
    const { pool, pidOf, search } = opened;
    const waits: number[] = [];
    for (let death = 0; death < 4; death++) {
      await search();
      const pid = pidOf(0);
      process.kill(pid, "SIGKILL");
      await eventually("its end is known", () =>
        pool.states()[0]?.pid === pid ? undefined : true,
      );
      const start = performance.now();
      await eventually("it is started", () => pool.states()[0]?.pid ?? undefined);
      waits.push(performance.now() - start);
    }
    // 0, 0, 100 and 200 ms, less the look at it; a death after half a second of service would begin anew.
    const [, , third = 0, fourth = 0] = waits;
    expect(third).toBeGreaterThan(50);
    expect(fourth).toBeGreaterThan(150);
    expect(pool.states()[0]?.restarts).toBe(4);
    expect((await search()).status).toBe(200);
  });

  test("says why engines cannot be started, and ends all the same", async () => {
    using dir = tempDir();
    const config = engineConfig(dir.path);
    const pool = new EnginePool({
      count: 1,
      start: (number): EngineStart => ({ config, number }),
      onSealed: () => {},
    });
    expect((await problemOf(() => pool.opened())).code).toBe("not_ready");
    await Promise.race([pool[Symbol.asyncDispose](), timeout(2000)]);
    expect(engines()).toEqual([]);
  });

  test("ends all engines, fails what waits and takes no more calls", async () => {
    const opened = await openPool(2);
    const { pool, search, signal } = opened;
    signal(0, "SIGSTOP");
    signal(1, "SIGSTOP");
    const count = 2 * limits.engineCallsInFlightMax + 5;
    const outcomes = Promise.allSettled(Array.from({ length: count }, () => search()));
    const ending = opened[Symbol.asyncDispose]();
    signal(0, "SIGCONT");
    // One that hangs is not waited for any longer than that.
    signal(1, "SIGKILL");
    await ending;
    const rejected = (await outcomes).filter((one) => one.status === "rejected");
    expect(rejected.length).toBeGreaterThanOrEqual(5 + limits.engineCallsInFlightMax);
    for (const { reason } of rejected) expect(reason).toHaveProperty("code", "not_ready");
    expect((await problemOf(() => search())).code).toBe("not_ready");
    expect(engines()).toEqual([]);
    expect(pool.states().map(({ pid }) => pid)).toEqual([null, null]);
  });
});
