import { expect, test } from "bun:test";
import { existsSync } from "node:fs";

/** As many as were asked for, numbered without a hole. */
const ROWS = 228;

interface Row {
  number: number;
  asked: string;
  answer: string;
}

function rowsOf(page: string): Row[] {
  return [...page.matchAll(/^\| S(\d+) \| (.*?) \| (.*) \|$/gm)].map(
    ([, number, asked = "", answer = ""]) => ({ number: Number(number), asked, answer }),
  );
}

const TEST = /`([^`]+)` > `([^`]+)`/g;

const testsOf = (answer: string) =>
  [...answer.matchAll(TEST)].map(([, file = "", name = ""]) => ({ file, name }));

/** Whether an answer without a test says why in a sentence. */
const hasReason = (answer: string): boolean => answer.split(" ").length > 4;

/**
 * Names of a file's tests that run, as they are written: with `%s` and `${...}` where they are filled in. They follow
 * `test(`, or the end of a table or a condition, `)(`.
 */
function titlesOf(code: string): Set<string> {
  const titles = code.matchAll(/(?:\btest|\))\(\s*(["'`])((?:\\.|(?!\1)[^\\])+)\1,/g);
  return new Set([...titles].map(([, , title = ""]) => title));
}

async function wrongOf({ number, answer }: Row): Promise<string[]> {
  const tests = testsOf(answer);
  if (tests.length === 0 && !hasReason(answer))
    return [`S${number} has neither a test nor a reason`];
  const wrong = tests.map(async ({ file, name }) => {
    if (!file.endsWith(".test.ts") || !existsSync(file)) return `S${number}: there is no ${file}`;
    const titles = titlesOf(await Bun.file(file).text());
    return titles.has(name) ? [] : `S${number}: ${file} has no test "${name}"`;
  });
  return (await Promise.all(wrong)).flat();
}

test("every row has a test that is there, or a reason", async () => {
  const rows = rowsOf(await Bun.file("docs/requirements.md").text());
  expect(rows.map(({ number }) => number)).toEqual(
    Array.from({ length: ROWS }, (_, index) => index + 1),
  );
  expect(rows.filter(({ asked }) => asked.trim() === "")).toEqual([]);
  expect((await Promise.all(rows.map(wrongOf))).flat()).toEqual([]);
});

test("a row without an answer, with a test that is gone, or in a file that is gone is found", async () => {
  const here = "test/unit/docs/requirements.test.ts";
  const page = [
    "| S1 | one | - |",
    "| S2 | two | ; . |",
    `| S3 | three | \`${here}\` > \`every row has a test that is there, or a reason\` |`,
    `| S4 | four | \`${here}\` > \`every row\` |`,
    "| S5 | five | `test/gone.test.ts` > `gone` |",
    "| S6 | six | `test/unit/config/config.test.ts` > `takes the log level %s for %s`. As others do. |",
    "no row",
  ].join("\n");
  const rows = rowsOf(page);
  expect(rows.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6]);
  expect((await Promise.all(rows.map(wrongOf))).flat()).toEqual([
    "S1 has neither a test nor a reason",
    "S2 has neither a test nor a reason",
    `S4: ${here} has no test "every row"`,
    "S5: there is no test/gone.test.ts",
  ]);
});

test("logs and health have as many tests as they should", async () => {
  const [logs, health] = await Promise.all(
    ["test/telemetry/logs.test.ts", "test/http/health.test.ts"].map(async (path) => {
      const tests = (await Bun.file(path).text()).match(/^\s*test(?:\.\w+)*\(/gm);
      return tests?.length ?? 0;
    }),
  );
  expect(logs).toBeGreaterThanOrEqual(19);
  expect(health).toBeGreaterThanOrEqual(9);
  expect((logs ?? 0) + (health ?? 0)).toBeGreaterThanOrEqual(28);
});
