import { describe, expect, test } from "bun:test";
import { ProgressBar, progressLine } from "../../../src/cli/progress.ts";

const line = (done: number, total: number, seconds: number): string =>
  progressLine("Ingest", "documents", { done, total, count: done, seconds });

/** What a line says of the time left. */
const left = (text: string): string | undefined => text.split(" · ").at(-1);

describe("a line of progress", () => {
  test("shows how much is done, how many, how fast, and how long it will take", () => {
    const progress = { done: 250, total: 1000, count: 1234, seconds: 10 };
    expect(progressLine("Ingest", "documents", progress)).toBe(
      "Ingest ██████░░░░░░░░░░░░░░░░░░  25 % · 1,234 documents · 123/s · 30 s left",
    );
  });

  test("begins with an empty bar, no rate and no promise", () => {
    expect(line(0, 1000, 0)).toBe(
      "Ingest ░░░░░░░░░░░░░░░░░░░░░░░░   0 % · 0 documents · 0.0/s · time left unknown",
    );
    expect(left(line(0, 0, 5))).toBe("time left unknown");
  });

  test("ends with a full bar, and is never more than full", () => {
    expect(line(1000, 1000, 1)).toContain(`${"█".repeat(24)} 100 %`);
    expect(line(2000, 1000, 1)).toContain(`${"█".repeat(24)} 100 %`);
    expect(left(line(1000, 1000, 1))).toBe("0 s left");
  });

  test("says 100 % only when all is done", () => {
    expect(line(999, 1000, 1)).toContain(" 99 %");
  });

  test("shows slow rates with a digit after the point", () => {
    expect(line(1, 10, 3)).toContain("· 0.3/s ·");
    expect(line(99, 990, 10)).toContain("· 9.9/s ·");
    expect(line(50_000, 60_000, 2)).toContain("· 25,000/s ·");
  });

  test.each([
    [0.2, "1 s left"],
    [59, "59 s left"],
    [59.7, "1 min 0 s left"],
    [60, "1 min 0 s left"],
    [119.7, "2 min 0 s left"],
    [3599.9, "1 h 0 min left"],
    [3600, "1 h 0 min left"],
    [7384, "2 h 3 min left"],
  ])("with %d seconds left says %s", (seconds, text) => {
    expect(left(line(1, 2, seconds))).toBe(text);
  });
});

test("a bar that is not shown says nothing, and its end is silent too", () => {
  using bar = new ProgressBar("Ingest", "documents", false);
  bar.update({ done: 1, total: 2, count: 1 });
  expect(bar).toBeInstanceOf(ProgressBar);
});
