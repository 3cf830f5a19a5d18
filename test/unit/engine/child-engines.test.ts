import { describe, expect, test } from "bun:test";
import type { EngineStart } from "../../../src/boot/engine-child.ts";
import { startChildEngines } from "../../../src/engine/child-engines.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION } from "../store/fixtures.ts";
import { engineConfig } from "./engine-config.ts";

/** Writers of a collection that ask for room at the same moment. */
const WRITERS = 64;

/** One engine over a data directory with two collections. */
async function openEngines(requestMsMax: number) {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(tempDir());
  const store = stack.use(await LocalStore.open(dir.path));
  const { key } = await store.createCollection(COLLECTION);
  const other = (await store.createCollection({ ...COLLECTION, name: "other" })).key;
  const config = engineConfig(dir.path);
  const startOf = (number: number | undefined): EngineStart => ({ config, number });
  const starting = startChildEngines({
    count: 1,
    startQuery: startOf,
    startBackground: startOf(undefined),
    requestMsMax,
  });
  stack.use(starting);
  const engines = stack.use(await starting.open(store));
  const owned = stack.move();
  const owner = () => {
    const [state] = engines.states();
    if (typeof state?.pid !== "number") throw new Error("the owner of the index does not run");
    return { ...state, pid: state.pid };
  };
  const many = (collectionKey: number) =>
    Array.from({ length: WRITERS }, () => engines.room(collectionKey));
  return {
    engines,
    key,
    other,
    owner,
    many,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("room for a write", () => {
  test("is asked for once for all writers of a collection, and its word is believed for a while", async () => {
    await using opened = await openEngines(30_000);
    const { engines, key, other, owner, many } = opened;
    process.kill(owner().pid, "SIGSTOP");
    const waiting = [...many(key), ...many(other)];
    expect(owner().in_flight).toBe(2);
    process.kill(owner().pid, "SIGCONT");
    await Promise.all(waiting);
    const later = engines.room(other);
    expect(owner().in_flight).toBe(0);
    await later;
  });

  test("that is not answered fails all who asked, and is asked for again by the next one", async () => {
    await using opened = await openEngines(1000);
    const { engines, key, owner, many } = opened;
    const { pid } = owner();
    process.kill(pid, "SIGSTOP");
    const outcomes = await Promise.allSettled(many(key));
    const codes = outcomes.map((one) => (one.status === "rejected" ? one.reason?.code : "room"));
    expect(codes).toEqual(Array.from({ length: WRITERS }, () => "timeout"));
    await eventually("the owner of the index serves again", () => {
      const [state] = engines.states();
      return state?.state === "ready" && state.pid !== pid ? true : undefined;
    });
    await engines.room(key);
  });
});
