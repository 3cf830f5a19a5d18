import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { RecentFrames } from "../../../src/rooms/recent-frames.ts";
import { span } from "./world.ts";

function filled(sub: string, offsets: readonly number[], size = 10): RecentFrames {
  const recent = new RecentFrames();
  for (const offset of offsets) recent.add(sub, entry(offset, size));
  return recent;
}

const entry = (offset: number, size: number) => ({
  offset,
  atMs: offset * 10,
  frame: String(offset).padEnd(size, "."),
});
const whole = { framesMax: 10_000, bytesMax: 1e9 };

describe("the latest frames", () => {
  test("are given from an offset that is there up to one that is asked for", () => {
    const recent = filled("r:a", span(5, 20));
    const page = recent.read("r:a", { after: 7, upTo: 10, ...whole });
    expect(page?.frames.map((frame) => Number.parseInt(frame, 10))).toEqual([8, 9, 10]);
    expect(page?.upTo).toBe(10);
    expect(recent.read("r:a", { after: 3, upTo: 10, ...whole })).toBeUndefined();
    expect(recent.read("r:a", { after: 20, upTo: 25, ...whole })).toBeUndefined();
    expect(recent.read("r:b", { after: 7, upTo: 10, ...whole })).toBeUndefined();
    expect(recent.timeOf("r:a", 5)).toBe(50);
    expect(recent.timeOf("r:a", 4)).toBeUndefined();
    expect(recent.timeOf("r:a", 21)).toBeUndefined();
  });

  test("come in pages bounded by number and by bytes, at least one at a time", () => {
    const recent = filled("r:a", span(1, 20), 100);
    const count = (bounds: { framesMax: number; bytesMax: number }) =>
      recent.read("r:a", { after: 0, upTo: 20, ...bounds })?.frames.length;
    expect(count({ framesMax: 7, bytesMax: 1e9 })).toBe(7);
    expect(count({ framesMax: 50, bytesMax: 350 })).toBe(3);
    expect(count({ framesMax: 50, bytesMax: 1 })).toBe(1);
  });

  test("begin anew where offsets leave some out", () => {
    const recent = filled("r:a", [...span(1, 5), ...span(9, 12)]);
    expect(recent.timeOf("r:a", 5)).toBeUndefined();
    expect(recent.timeOf("r:a", 9)).toBe(90);
  });

  test("are bounded in each stream", () => {
    const many = filled("r:a", span(1, limits.recentFramesPerRoom + 50));
    expect(many.timeOf("r:a", 50)).toBeUndefined();
    expect(many.timeOf("r:a", 51)).toBe(510);
    const size = limits.recentFramesCharactersPerRoom / 8;
    const large = filled("r:a", span(1, 20), size);
    expect(large.timeOf("r:a", 12)).toBeUndefined();
    expect(large.timeOf("r:a", 13)).toBe(130);
  });

  test("are bounded together: the stream that was longest silent goes", () => {
    const recent = new RecentFrames();
    const size = limits.recentFramesCharactersPerRoom;
    const streams = limits.recentFramesCharactersMax / size;
    for (const at of span(1, streams)) recent.add(`r:${at}`, entry(1, size / 2));
    recent.add("r:1", entry(2, size / 2));
    for (const at of span(streams + 1, streams * 2)) recent.add(`r:${at}`, entry(1, size / 2));
    expect(recent.timeOf("r:2", 1)).toBeUndefined();
    expect(recent.timeOf("r:1", 2)).toBe(20);
    expect(recent.timeOf(`r:${streams * 2}`, 1)).toBe(10);
    recent.forget("r:1");
    expect(recent.timeOf("r:1", 2)).toBeUndefined();
  });
});
