import { expect, test } from "bun:test";
import {
  exchangesOf,
  record,
  withExchanges,
  type Exchange,
} from "../../scripts/operations-page.ts";

const TEST_MS_MAX = 60_000;
const PAGE = await Bun.file("docs/operations.md").text();

/** Names and kinds of what is in a value, without the values. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shapeOf(one)]));
}

/** What must be as the page says, whatever the machine: not the numbers in an answer. */
const comparable = ({ title, command, outcome, answer, log }: Exchange) => ({
  title,
  command,
  outcome,
  answer: answer.startsWith("{") ? shapeOf(JSON.parse(answer)) : answer.replaceAll(/ \d+$/gm, ""),
  log: log.map((line) => ({ event: line["event"], has: shapeOf(line) })),
});

test.skipIf(Bun.which("curl") === null)(
  "the operations page shows what a server answers and logs",
  async () => {
    const recorded = await record();
    expect(exchangesOf(PAGE).map(comparable)).toEqual(recorded.map(comparable));
    expect(recorded.map(({ outcome }) => outcome)).toEqual([
      ...["200", "200", "200", "200", "200", "200", "404", "200"].map((code) => `Status ${code}`),
      "Exit code 0",
    ]);
  },
  TEST_MS_MAX,
);

test("what is recorded can be read back out of the page, and replaces what was there", () => {
  const exchanges = exchangesOf(PAGE);
  expect(exchanges.length).toBe(9);
  expect(withExchanges(PAGE, exchanges)).toBe(PAGE);
  const fewer = withExchanges(PAGE, exchanges.slice(0, 2));
  expect(exchangesOf(fewer)).toEqual(exchanges.slice(0, 2));
  expect(withExchanges(fewer, exchanges)).toBe(PAGE);
  expect(() => withExchanges("no marks", exchanges)).toThrow("has no marks");
});
