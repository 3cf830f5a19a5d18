import { afterAll, describe, expect, test } from "bun:test";
import { reset } from "@logtape/logtape";
import { captureForeignOutput, logChildOutput } from "../../src/telemetry/foreign-output.ts";
import { configureLogging } from "../../src/telemetry/logs.ts";

afterAll(reset);

/** The records of some work, with the output of others captured. */
async function records(work: () => unknown): Promise<Record<string, unknown>[]> {
  const lines: string[] = [];
  const config = { environment: "production", logFormat: "json", logLevel: "debug" } as const;
  await configureLogging(config, { push: (line) => void lines.push(line) });
  using _captured = captureForeignOutput();
  await work();
  return lines.map((line) => JSON.parse(line));
}

describe("what others print", () => {
  test("through the console becomes lines of the log, quiet ones at debug", async () => {
    const lines = await records(() => {
      console.log("loaded %d models", 3);
      console.info({ lap: 1 });
      console.warn("slow");
      console.error(new Error("broken"));
    });
    expect(lines.map(({ level, event }) => [level, event])).toEqual([
      ["debug", "library.output"],
      ["debug", "library.output"],
      ["warning", "library.output"],
      ["error", "library.output"],
    ]);
    expect(lines[0]).toMatchObject({ text: "loaded 3 models", logger: "slipstream.process" });
    expect(lines[3]?.["text"]).toContain("broken");
  });

  test("goes to the console again afterwards", async () => {
    const before = console.log;
    await records(() => expect(console.log).not.toBe(before));
    expect(console.log).toBe(before);
  });

  test("is no longer than a line of the log may be", async () => {
    const [line] = await records(() => console.warn("x".repeat(1_000_000)));
    expect(String(line?.["text"]).length).toBe(4096);
  });

  test("warnings, rejections and exceptions that nobody caught are errors of the log, and the process lives", async () => {
    const lines = await records(async () => {
      process.emit("warning", new Error("too many listeners"));
      process.emit("unhandledRejection", new Error("rejected"), Promise.resolve());
      process.emit("uncaughtException", new Error("thrown"));
      await new Promise(setImmediate);
    });
    expect(lines.map(({ event, level }) => [event, level])).toEqual([
      ["process.warning", "warning"],
      ["process.unhandled_rejection", "error"],
      ["process.uncaught_exception", "error"],
    ]);
    expect(lines[1]?.["error"]).toMatchObject({ message: "rejected", stack: expect.any(String) });
  });

  test("a child writes to its stderr is a line each, whole characters, and the last without an end too", async () => {
    const lines = await records(async () => {
      const command = ["sh", "-c", "printf 'one\\ntwo \\303'; printf '\\251\\n\\nthree' "];
      const child = Bun.spawn([...command.slice(0, 2), `(${command[2]}) >&2`], { stderr: "pipe" });
      await logChildOutput(child.stderr, { command: "builder" });
    });
    expect(lines.map(({ event, command, text }) => [event, command, text])).toEqual([
      ["child.output", "builder", "one"],
      ["child.output", "builder", "two é"],
      ["child.output", "builder", "three"],
    ]);
  });
});
