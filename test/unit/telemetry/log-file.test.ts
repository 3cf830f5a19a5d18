import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { LineSink } from "../../../src/telemetry/line-sink.ts";
import { LogFile, type LogFileOptions } from "../../../src/telemetry/log-file.ts";
import { canMount, smallDisk } from "../store/small-disk.ts";
import { tempDir } from "../../support/temp-dir.ts";

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `{"line":${from + index}}\n`);

const fileIn = (folder: string, options: Partial<LogFileOptions> = {}) =>
  new LogFile({
    path: () => join(folder, "app.log"),
    bytesMax: 1000,
    isOurs: (name) => name.startsWith("app.log."),
    outdated: () => [],
    ...options,
  });

/** Names beside the file, old to new. */
const aside = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith("app.log."))
    .toSorted();

/** All lines of all files, in the order of the files' ages. */
const linesIn = (folder: string): string =>
  [...aside(folder), "app.log"].map((name) => readFileSync(join(folder, name), "utf8")).join("");

/** A name with a time behind it. */
const isOurs = (name: string): boolean => /^app\.log\.\d{4}-/.test(name);

describe("a log file", () => {
  test("is put aside by a rename when it is full, with no line lost, cut or out of order", async () => {
    using dir = tempDir();
    const lines = numbered(0, 2000);
    {
      await using sink = new LineSink(fileIn(dir.path));
      for (const [index, line] of lines.entries()) {
        sink.push(line);
        if (index % 37 === 0) await sink.flush();
      }
    }
    expect(aside(dir.path).length).toBeGreaterThan(10);
    expect(linesIn(dir.path)).toBe(lines.join(""));
  });

  test("keeps as many old files as it is told to, and leaves those of others", async () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, "app.log.bak"), "mine");
    const file = fileIn(dir.path, {
      isOurs,
      outdated: (files) => files.slice(0, Math.max(0, files.length - 3)),
    });
    {
      await using sink = new LineSink(file);
      for (const line of numbered(0, 1000)) {
        sink.push(line);
        if (line.includes("0}")) await sink.flush();
      }
    }
    expect(aside(dir.path).filter(isOurs)).toHaveLength(3);
    expect(readFileSync(join(dir.path, "app.log.bak"), "utf8")).toBe("mine");
    // The newest are the ones that are left.
    expect(linesIn(dir.path)).toEndWith('{"line":999}\n');
  });

  test("goes on in the file of the process before, and ends a line that a crash has left open", async () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, "app.log"), '{"line":0}\n{"li');
    {
      await using sink = new LineSink(fileIn(dir.path));
      sink.push('{"line":2}\n');
    }
    expect(linesIn(dir.path)).toBe('{"line":0}\n{"li\n{"line":2}\n');
  });

  test("begins another file where its path changes, and removes what is too old", async () => {
    using dir = tempDir();
    const old = join(dir.path, "app-1");
    appendFileSync(old, "old\n");
    utimesSync(old, 1, 1);
    let day = 2;
    const file = fileIn(dir.path, {
      path: () => join(dir.path, `app-${day}`),
      isOurs: (name) => name.startsWith("app-"),
      outdated: (files) => files.filter(({ writtenAtMs }) => writtenAtMs < 10_000),
    });
    await using sink = new LineSink(file);
    for (; day < 5; day++) {
      sink.push(`${day}\n`);
      await sink.flush();
    }
    expect(readdirSync(dir.path).toSorted()).toEqual(["app-2", "app-3", "app-4"]);
  });

  test("that cannot be made costs lines and nothing else, and is made once it can be", async () => {
    using dir = tempDir();
    const folder = join(dir.path, "logs");
    writeFileSync(folder, "in the way");
    const lost: number[] = [];
    await using sink = new LineSink(fileIn(folder), { onLost: (count) => lost.push(count) });
    sink.push("a\n");
    await sink.flush();
    expect([sink.dropped, lost]).toEqual([1, []]);
    chmodSync(folder, 0o600);
    Bun.spawnSync(["rm", folder]);
    sink.push("b\n");
    await sink.flush();
    expect([sink.dropped, lost]).toEqual([1, [1]]);
    expect(linesIn(folder)).toBe("b\n");
  });

  test.skipIf(!canMount)(
    "on a disk that is full drops lines, tears none, and goes on when there is room again",
    async () => {
      using disk = smallDisk(1024);
      const ballast = join(disk.path, "ballast");
      writeFileSync(ballast, Buffer.alloc(900 * 1024));
      const lost: number[] = [];
      const lines = numbered(0, 40_000);
      {
        const file = fileIn(disk.path, { bytesMax: 2 ** 30 });
        await using sink = new LineSink(file, { onLost: (count) => lost.push(count) });
        for (const [index, line] of lines.entries()) {
          sink.push(line);
          if (index % 1000 === 0) await sink.flush();
          if (index === 30_000) {
            await sink.flush();
            Bun.spawnSync(["rm", ballast]);
          }
        }
        await sink.flush();
        expect(sink.dropped).toBeGreaterThan(100);
        expect(lost).toEqual([sink.dropped]);
      }
      const written = readFileSync(join(disk.path, "app.log"), "utf8").split("\n").slice(0, -1);
      const numbers = written.map((line): number => JSON.parse(line).line);
      expect(numbers.length + (lost[0] ?? 0)).toBe(lines.length);
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    },
  );
});
