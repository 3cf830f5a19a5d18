import { expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { UnstoredKeys } from "../../../src/rooms/unstored-keys.ts";

test("keys are known for a while, each in its room, and only so many of them", () => {
  const keys = new UnstoredKeys();
  keys.add("e", "first", { offset: 1, atMs: 0 });
  expect(keys.find("e", "first", limits.publicationKeyMs - 1)).toEqual({ offset: 1, atMs: 0 });
  expect(keys.find("e", "first", limits.publicationKeyMs)).toBeUndefined();
  expect(keys.find("other", "first", 0)).toBeUndefined();
  for (let offset = 2; offset <= limits.unstoredKeysMax; offset++)
    keys.add("e", `k${offset}`, { offset, atMs: 1 });
  expect(keys.find("e", "first", 1)).toBeDefined();
  keys.add("e", "last", { offset: 0, atMs: 1 });
  expect(keys.find("e", "first", 1)).toBeUndefined();
  expect(keys.find("e", "k2", 1)).toBeDefined();
});
