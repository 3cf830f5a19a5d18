import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createOutput } from "../../../src/cli/output.ts";
import { tempDir } from "../../support/temp-dir.ts";

const OUTPUT = new URL("../../../src/cli/output.ts", import.meta.url).pathname;
const PROGRESS = new URL("../../../src/cli/progress.ts", import.meta.url).pathname;

/** Runs a few lines in a process of their own, whose output is caught. */
function spawn(script: string) {
  return Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
}

describe("a command's output", () => {
  test("is results on stdout and everything else on stderr", async () => {
    const child = spawn(`
      const { printResult, say, draw } = await import(${JSON.stringify(OUTPUT)});
      printResult("result"); say("words"); draw("bar");`);
    expect(await child.stdout.text()).toBe("result\n");
    expect(await child.stderr.text()).toBe("words\nbar");
  });

  test("goes to the descriptors that it was given, and to a closed one without an error", () => {
    using dir = tempDir();
    const paths = ["results", "words"].map((name) => join(dir.path, name));
    const [results = -1, words = -1] = paths.map((path) => openSync(path, "w"));
    const output = createOutput(results, words);
    output.printResult("rot-grün");
    output.say("said");
    output.draw("drawn");
    closeSync(results);
    closeSync(words);
    expect(paths.map((path) => readFileSync(path, "utf8"))).toEqual(["rot-grün\n", "said\ndrawn"]);
    const unwritable = openSync(join(dir.path, "results"), "r");
    expect(() => createOutput(unwritable, unwritable).printResult("lost")).not.toThrow();
    closeSync(unwritable);
  });

  test("is whole however much there is, though the process ends at once", async () => {
    const child = spawn(`
      const { printResult } = await import(${JSON.stringify(OUTPUT)});
      for (let index = 0; index < 20000; index++) printResult("result " + index);
      process.exit(0);`);
    const lines = (await child.stdout.text()).split("\n");
    expect(lines).toHaveLength(20_001);
    expect(lines[19_999]).toBe("result 19999");
  });

  test("ends quietly where its reader has gone", async () => {
    const child = spawn(`
      const { printResult, say } = await import(${JSON.stringify(OUTPUT)});
      for (let index = 0; index < 20000; index++) printResult("result " + index);
      say("still here");`);
    await child.stdout.cancel();
    expect(await child.stderr.text()).toBe("still here\n");
    expect(await child.exited).toBe(0);
  });

  test("draws a bar that is wiped out at its end", async () => {
    const child = spawn(`
      const { ProgressBar } = await import(${JSON.stringify(PROGRESS)});
      { using bar = new ProgressBar("Ingest", "documents", true);
        for (let done = 0; done < 1000; done++) bar.update({ done, total: 1000, count: done }); }`);
    const text = await child.stderr.text();
    expect(text).toStartWith("\r\x1b[KIngest ");
    expect(text).toEndWith("\r\x1b[K");
    // It is not drawn for each of a thousand steps.
    expect(text.split("\r").length).toBeLessThan(20);
  });
});
