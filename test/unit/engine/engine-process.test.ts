import { describe, expect, test } from "bun:test";
import { EngineProcess, type EngineProcessOptions } from "../../../src/engine/engine-process.ts";
import { lowerPriority } from "../../../src/engine/lower-priority.ts";
import type { EngineStart } from "../../../src/boot/engine-child.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { engineConfig } from "./engine-config.ts";

type Outcome = Parameters<EngineProcessOptions["onResult"]>[1];

/** A background engine, which needs no data, and what it says. */
function startEngine(start: unknown) {
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<{ how: string; error: Error | undefined }>();
  const outcomes = new Map<number, (outcome: Outcome) => void>();
  const engine = new EngineProcess({
    start,
    onReady: () => ready.resolve(),
    onResult: (id, outcome) => outcomes.get(id)?.(outcome),
    onEvent: () => {},
    onExit: (how, error) => ended.resolve({ how, error }),
  });
  let calls = 0;
  return {
    engine,
    ready: ready.promise,
    ended: ended.promise,
    call(name: string, args: unknown): Promise<Outcome> {
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      outcomes.set(++calls, resolve);
      engine.send({ type: "call", id: calls, name, args });
      return promise;
    },
    async [Symbol.asyncDispose]() {
      engine.kill();
      await engine.exited;
    },
  };
}

const backgroundStart = (dataDir: string): EngineStart => ({
  config: engineConfig(dataDir),
  number: undefined,
});

describe("the process of an engine", () => {
  test("answers calls, and says of those that it cannot what was wrong", async () => {
    using dir = tempDir();
    await using child = startEngine(Promise.resolve(backgroundStart(dir.path)));
    await child.ready;
    const embedded = await child.call("embed", { model: "static-256", texts: ["red flag"] });
    expect(embedded).toMatchObject({ ok: true, value: [{ length: 256 }] });
    const unknown = await child.call("embed", { model: "gpt-9", texts: ["red flag"] });
    expect(unknown).toMatchObject({ ok: false, error: { code: "unknown_model" } });
    expect(await child.call("sing", {})).toMatchObject({ ok: false });
    child.engine.send({ type: "stop" });
    expect(await child.ended).toEqual({ how: "exit code 0", error: undefined });
  });

  test("is ended where what it should be given cannot be had", async () => {
    await using child = startEngine(Promise.reject(new Error("no data")));
    expect((await child.ended).how).toBe("signal SIGKILL");
  });

  test("says why it could not be started before it ends", async () => {
    const config = engineConfig("/dev/null/nowhere");
    await using child = startEngine({ config, number: 0 });
    const { how, error } = await child.ended;
    expect(how).toBe("signal SIGKILL");
    expect(error).toBeInstanceOf(Error);
  });

  test("hears nothing more once it was killed, by whomever", async () => {
    using dir = tempDir();
    await using child = startEngine(backgroundStart(dir.path));
    await child.ready;
    process.kill(child.engine.pid, "SIGKILL");
    // Its end is not known yet, and for a moment neither is that of its channel.
    for (let turn = 0; turn < 50; turn++) {
      child.engine.send({ type: "tell", name: "hear", args: [] });
      await new Promise(setImmediate);
    }
    expect((await child.ended).how).toBe("signal SIGKILL");
    child.engine.send({ type: "tell", name: "hear", args: [] });
  });
});

test("a process that is not there any more cannot be put behind others, which is no failure", () => {
  const { pid } = Bun.spawnSync([process.execPath, "--version"]);
  expect(() => lowerPriority(pid, 5)).not.toThrow();
});
