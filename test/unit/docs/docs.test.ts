import { describe, expect, test } from "bun:test";
import { namesOf, SETTINGS } from "../../../src/config.ts";
import { PROBLEMS } from "../../../src/problems.ts";
import { INSTRUMENTS } from "../../../src/telemetry/instruments.ts";
import { notUnderstood } from "../../support/command-line.ts";

/** The files of all patterns. Each is looked for by itself: alternatives of several folders are none to Bun's Glob. */
async function read(...patterns: string[]): Promise<{ path: string; text: string }[]> {
  const found = await Promise.all(
    patterns.map((pattern) => Array.fromAsync(new Bun.Glob(pattern).scan("."))),
  );
  const paths = found.flat().toSorted();
  return Promise.all(paths.map(async (path) => ({ path, text: await Bun.file(path).text() })));
}

/** The words of a command as a shell would split them, up to a comment, a pipe or another command. */
function wordsOf(command: string): string[] {
  const [own = ""] = command.split(/\s(?:#|\||&&|>|2>)(?:\s|$)/);
  return [...own.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain ?? "",
  );
}

/** `slipstream ...` in a text: lines of code blocks, also behind settings or a path, and code in a sentence. */
function commandsIn(text: string): string[][] {
  const inBlocks = [...text.matchAll(/^(?:[A-Z_]+=\S* )*(?:\S*\/)?slipstream ([a-z-][^\n]*)$/gm)];
  const inSentences = [...text.matchAll(/`slipstream ([a-z-][^`\n]*)`/g)];
  return [...inBlocks, ...inSentences].map(([, command = ""]) => wordsOf(command));
}

test("every command of the program that a document names can be given like that", async () => {
  const documents = await read("*.md", "docs/**/*.md", "bench/*.md");
  const commands = documents.flatMap(({ text }) => commandsIn(text));
  expect(commands.length).toBeGreaterThan(20);
  // In a sentence a command is named without its arguments too.
  expect(
    await notUnderstood(
      commands.map((words) => (words.length === 1 ? [...words, "--help"] : words)),
    ),
  ).toEqual([]);
  const none = [["nonsense"], ["migrate", "sideways"], ["serve", "--fast"], ["health", "nope"]];
  expect(await notUnderstood(none)).toEqual(none);
});

describe("what the pages for operators name", async () => {
  const pages = await read(
    "docs/{production-checklist,runbooks,log-aggregation,limitations,migrations,operations}.md",
  );
  const code = (await read("{src,scripts}/**/*.{ts,sh}")).map(({ text }) => text).join("\n");
  const named = pages.flatMap(({ path, text }) =>
    [...text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/`([^`\n]+)`/g)].map(
      ([, name = ""]) => [path, name] as const,
    ),
  );
  const wrongOf = (form: RegExp, exists: (name: string) => boolean): string[] =>
    named.filter(([, name]) => form.test(name) && !exists(name)).map((one) => one.join(": "));

  test("are events that are logged", () => {
    const wrong = wrongOf(/^(?!.*\.(?:db|sh|ts|sql|log|conf|service)$)[a-z]+\.[a-z_]+$/, (name) =>
      new RegExp(`["' ]${name.replace(".", "\\.")}\\b`).test(code),
    );
    expect(wrong).toEqual([]);
  });

  test("are problem codes, metrics and fields that exist", () => {
    const known = new Set([...Object.keys(PROBLEMS), ...Object.keys(INSTRUMENTS)]);
    const wrong = wrongOf(/^[a-z]+(?:_[a-z]+)+$/, (name) => known.has(name) || code.includes(name));
    expect(wrong).toEqual([]);
  });

  test("are settings that exist", () => {
    const known = new Set([...Object.values(SETTINGS).flatMap(namesOf), "SLIPSTREAM_CACHE_DIR"]);
    const wrong = wrongOf(/^[A-Z]+(?:_[A-Z]+)+(?:=\S*)?$/, (name) =>
      known.has(name.replace(/=.*$/, "")),
    );
    expect(wrong).toEqual([]);
  });
});

test("the checklist has its four parts, each with boxes to tick", async () => {
  const text = await Bun.file("docs/production-checklist.md").text();
  const parts = text.split(/^## /m).slice(1);
  expect(parts.map((part) => part.split("\n")[0])).toEqual([
    "Database",
    "Logging",
    "Health",
    "Metrics",
  ]);
  for (const part of parts) expect(part.match(/^- \[ \] /gm)?.length).toBeGreaterThan(3);
});

test("the samples of log collectors are what their readers can parse", async () => {
  const text = await Bun.file("docs/log-aggregation.md").text();
  const blocks = [...text.matchAll(/^```(json|yaml)\n([\s\S]*?)^```$/gm)];
  expect(blocks.map(([, language]) => language)).toEqual(["json", "yaml", "yaml", "json"]);
  for (const [, language, block = ""] of blocks) {
    const value: unknown = language === "json" ? JSON.parse(block) : Bun.YAML.parse(block);
    expect(value).toBeObject();
  }
});
