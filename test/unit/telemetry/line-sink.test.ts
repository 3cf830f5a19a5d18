import { describe, expect, test } from "bun:test";
import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { limits } from "../../../src/limits.ts";
import { LineSink } from "../../../src/telemetry/line-sink.ts";
import { tempDir } from "../../support/temp-dir.ts";

/** A named pipe with both ends open, and the writing end with `flags`. */
function pipe(folder: string, flags = 0): { path: string; reader: number; writer: number } {
  const path = join(folder, "pipe");
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  // The reading end has to be there first, and must not wait for a writer.
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { path, reader, writer: openSync(path, constants.O_WRONLY | flags) };
}

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `line ${from + index}\n`);

/** Larger than any pipe holds, so that a write of it waits for a reader. */
const BIG_LINE = `${"x".repeat(4 * 1024 * 1024)}\n`;

describe("LineSink", () => {
  test("writes all lines in the order of their pushes", async () => {
    using dir = tempDir();
    const path = join(dir.path, "log");
    const descriptor = openSync(path, "w");
    const sink = new LineSink(descriptor);
    const lines = numbered(0, 5000);
    for (const [index, line] of lines.entries()) {
      sink.push(line);
      if (index % 700 === 0) await sink.flush();
      if (index % 900 === 0) void sink.flush();
    }
    await sink.flush();
    expect(readFileSync(path, "utf8")).toBe(lines.join(""));
    expect(sink.dropped).toBe(0);
    closeSync(descriptor);
  });

  test("writes by itself after a moment", async () => {
    using dir = tempDir();
    const { reader, writer, path } = pipe(dir.path);
    const sink = new LineSink(writer, { flushMs: 1 });
    const cat = Bun.spawn(["head", "-n", "1", path], { stdout: "pipe" });
    sink.push("hello\n");
    expect(await cat.stdout.text()).toBe("hello\n");
    closeSync(reader);
    closeSync(writer);
  });

  test("takes lines without waiting for a reader that stalls, and counts those past its bound", async () => {
    using dir = tempDir();
    const { reader, writer } = pipe(dir.path);
    const sink = new LineSink(writer);
    sink.push(BIG_LINE);
    const flushed = sink.flush();
    const start = performance.now();
    for (let count = 0; count < limits.logLinesBufferedMax + 10; count++) sink.push("x\n");
    expect(performance.now() - start).toBeLessThan(500);
    expect(sink.dropped).toBe(10);
    // With nobody left to read, the write that waits ends.
    closeSync(reader);
    await flushed;
    expect(sink.dropped).toBe(limits.logLinesBufferedMax + 11);
    closeSync(writer);
  });

  test("is disposed of in about a second while its reader stalls", async () => {
    using dir = tempDir();
    const { reader, writer } = pipe(dir.path);
    const sink = new LineSink(writer);
    sink.push(BIG_LINE);
    const start = performance.now();
    await sink[Symbol.asyncDispose]();
    expect(performance.now() - start).toBeWithin(900, 1500);
    sink.push("too late\n");
    expect(sink.dropped).toBe(1);
    closeSync(reader);
    await sink.flush();
    closeSync(writer);
  });

  test("disposing writes what is left", async () => {
    using dir = tempDir();
    const path = join(dir.path, "log");
    const descriptor = openSync(path, "w");
    {
      await using sink = new LineSink(descriptor, { flushMs: 60_000 });
      for (const line of numbered(0, 1000)) sink.push(line);
    }
    closeSync(descriptor);
    expect(readFileSync(path, "utf8")).toBe(numbered(0, 1000).join(""));
  });

  test("loses nothing on a pipe that answers “again” while it is full", async () => {
    using dir = tempDir();
    const { reader, writer, path } = pipe(dir.path, constants.O_NONBLOCK);
    const sink = new LineSink(writer);
    const lines = numbered(0, 40_000);
    for (const line of lines) sink.push(line);
    const flushed = sink.flush();
    const cat = Bun.spawn(["cat", path], { stdout: "pipe" });
    const text = cat.stdout.text();
    await flushed;
    closeSync(writer);
    closeSync(reader);
    expect(await text).toBe(lines.join(""));
    expect(sink.dropped).toBe(0);
  });

  test("counts what a closed pipe lost, and does not throw", async () => {
    using dir = tempDir();
    const { reader, writer } = pipe(dir.path);
    closeSync(reader);
    await using sink = new LineSink(writer);
    for (const line of numbered(0, 7)) sink.push(line);
    await sink.flush();
    expect(sink.dropped).toBe(7);
    sink.push("later\n");
    expect(sink.dropped).toBe(8);
    closeSync(writer);
  });

  test.skipIf(process.platform !== "linux")("counts what a full disk lost", async () => {
    const descriptor = openSync("/dev/full", "w");
    await using sink = new LineSink(descriptor);
    for (const line of numbered(0, 3)) sink.push(line);
    await sink.flush();
    expect(sink.dropped).toBe(3);
    closeSync(descriptor);
  });

  test("tells how many lines were lost once others are written again", async () => {
    using dir = tempDir();
    const { reader, writer, path } = pipe(dir.path);
    const lost: number[] = [];
    const sink = new LineSink(writer, { onLost: (lines) => lost.push(lines) });
    sink.push(BIG_LINE);
    const flushed = sink.flush();
    for (let count = 0; count < limits.logLinesBufferedMax + 10; count++) sink.push("x\n");
    expect([sink.dropped, lost]).toEqual([10, []]);
    const cat = Bun.spawn(["cat", path], { stdout: "ignore" });
    await flushed;
    expect(lost).toEqual([10]);
    sink.push("y\n");
    await sink.flush();
    expect(lost).toEqual([10]);
    closeSync(writer);
    closeSync(reader);
    await cat.exited;
  });

  test("ends a line that a target took in part before it takes the next, whole", async () => {
    let bytesLeft = 25;
    let written = "";
    const sink = new LineSink({
      prepare: async () => {},
      async write(bytes) {
        if (bytesLeft === 0) throw new Error("no room");
        const taken = bytes.subarray(0, Math.min(7, bytesLeft));
        bytesLeft -= taken.length;
        written += taken.toString();
        return taken.length;
      },
      [Symbol.asyncDispose]: async () => {},
    });
    for (const line of numbered(0, 10)) sink.push(line);
    await sink.flush();
    // Three lines and a half went out; the half one will be whole, and six are lost.
    expect([written, sink.dropped]).toEqual(["line 0\nline 1\nline 2\nline", 6]);
    bytesLeft = 1000;
    for (const line of numbered(10, 12)) sink.push(line);
    await sink.flush();
    expect(written).toBe("line 0\nline 1\nline 2\nline 3\nline 10\nline 11\n");
    expect(sink.dropped).toBe(6);
  });
});
