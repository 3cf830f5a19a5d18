import { expect, test } from "bun:test";
import { GatheredResults } from "../../../src/engine/gathered-results.ts";
import { limits } from "../../../src/limits.ts";

/** Results that have gathered, and the ids of each message so far. */
function open() {
  const sent: number[][] = [];
  const results = new GatheredResults((message) => sent.push(message.results.map(({ id }) => id)));
  const add = (id: number, tookMs = 0.1): void => results.add({ id, value: null }, tookMs);
  return { results, sent, add };
}

test("results of one turn of the event loop leave together at its end", async () => {
  const { sent, add } = open();
  add(1);
  add(2);
  expect(sent).toEqual([]);
  await new Promise(setImmediate);
  expect(sent).toEqual([[1, 2]]);
  await new Promise(setImmediate);
  expect(sent).toHaveLength(1);
});

test("no more than a few wait for each other, and none for one that took long", async () => {
  const { sent, add } = open();
  for (let id = 1; id <= limits.resultsPerMessageMax; id++) add(id);
  expect(sent).toEqual([[1, 2, 3, 4]]);
  add(5);
  add(6, 30);
  expect(sent.at(-1)).toEqual([5, 6]);
  await new Promise(setImmediate);
  expect(sent).toHaveLength(2);
});

test("what has gathered can be sent at once, and nothing is sent twice", () => {
  const { results, sent, add } = open();
  results.flush();
  add(1);
  results.flush();
  results.flush();
  expect(sent).toEqual([[1]]);
});
