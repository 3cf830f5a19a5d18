import { expect, test } from "bun:test";
import { namesOf, parseConfig, SETTINGS } from "../../../src/config.ts";

/** Environment names that are no settings: what the build puts in, and what a child is told for its libraries. */
const NO_SETTINGS = ["SLIPSTREAM_BUILD_COMMIT", "SLIPSTREAM_BUILD_TIME"];

async function sources(): Promise<{ path: string; text: string }[]> {
  const paths = await Array.fromAsync(new Bun.Glob("src/**/*.ts").scan("."));
  return Promise.all(paths.map(async (path) => ({ path, text: await Bun.file(path).text() })));
}

test("every environment name that the program reads is a setting's", async () => {
  const known = new Set([...Object.values(SETTINGS).flatMap(namesOf), ...NO_SETTINGS]);
  const unknown = (await sources()).flatMap(({ path, text }) =>
    [...text.matchAll(/\b(?:process|Bun)\.env(?:\.|\[["'])(\w+)/g)]
      .filter(([, name = ""]) => !known.has(name))
      .map(([, name]) => `${path} reads ${name}: make it a setting of src/config.ts`),
  );
  expect(unknown).toEqual([]);
});

test("every setting is read by something, so that none is there without effect", async () => {
  const others = (await sources()).filter(
    ({ path }) => path !== "src/config.ts" && !path.startsWith("src/config/"),
  );
  // The format and the level of logs are read through functions, for the profile has its word in them.
  const text = [...others.map((one) => one.text), logFunctions].join("\n");
  const unread = Object.keys(parseConfig({})).filter(
    (key) => !new RegExp(`\\b(?:config|options|settings)\\.${key}\\b|[{,]\\s*${key}\\b`).test(text),
  );
  expect(unread).toEqual([]);
});

const logFunctions = await Bun.file("src/config.ts")
  .text()
  .then((text) => text.slice(text.indexOf("export function logFormatOf")));

test("no two settings share a name", () => {
  const names = Object.values(SETTINGS).flatMap(namesOf);
  expect(names).toHaveLength(new Set(names).size);
});
