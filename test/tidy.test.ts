import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { limits } from "../src/limits.ts";
import { PROBLEMS } from "../src/problems.ts";

const FOUNDATION = [
  "lib",
  "problems",
  "failure",
  "limits",
  "contract",
  "config",
  "telemetry",
  "version",
];

/** room -> rooms it may import. The only copy of the table. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  problems: ["lib"],
  failure: ["problems"],
  limits: ["lib"],
  version: [],
  contract: ["lib", "limits"],
  config: ["lib", "problems", "limits"],
  telemetry: ["lib", "config", "limits", "version"],
  store: FOUNDATION,
  segments: FOUNDATION,
  vectors: [...FOUNDATION, "segments"],
  keyword: [...FOUNDATION, "segments"],
  embedding: FOUNDATION,
  engine: [...FOUNDATION, "store", "segments", "vectors", "keyword", "embedding"],
  collections: [...FOUNDATION, "store", "engine"],
  documents: [...FOUNDATION, "store", "engine", "embedding"],
  search: [...FOUNDATION, "store", "engine", "keyword"],
  rooms: [...FOUNDATION, "store"],
  // The queue knows no kind of job: whoever has one makes it known, so what does the work stands above the queue.
  jobs: [...FOUNDATION, "store", "engine", "rooms"],
  maintenance: [...FOUNDATION, "store", "engine", "jobs"],
  ingest: [...FOUNDATION, "store", "documents", "jobs"],
  // Words of a standing query are read as the collection's keyword index reads them.
  "standing-queries": [...FOUNDATION, "store", "engine", "keyword", "rooms"],
  live: [...FOUNDATION, "rooms", "standing-queries"],
  http: [
    ...FOUNDATION,
    "store",
    "engine",
    "embedding",
    "collections",
    "documents",
    "rooms",
    "search",
    "jobs",
    "ingest",
    "maintenance",
    "standing-queries",
    "live",
  ],
  boot: [
    ...FOUNDATION,
    "store",
    "vectors",
    "embedding",
    "engine",
    "collections",
    "documents",
    "rooms",
    "standing-queries",
    "search",
    "jobs",
    "ingest",
    "maintenance",
    "live",
    "http",
  ],
  cli: [...FOUNDATION, "boot", "store", "embedding", "ingest"],
  main: ["boot", "cli", "engine"],
};

/** Rooms of which others may take types and never code, with those who may. */
const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = {
  embedding: ["documents", "http"],
  rooms: ["standing-queries", "live"],
  "standing-queries": ["live"],
};

/** package -> where it may be imported. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  elysia: ["src/http/"],
  "@elysiajs/openapi": ["src/http/"],
  "bun:sqlite": ["src/store/local/"],
  "bun-sqlite-migrations": ["src/store/local/"],
  usearch: ["src/vectors/"],
  "hnswlib-node": ["src/vectors/"],
  "@orama/stemmers": ["src/keyword/"],
  "onnxruntime-node": ["src/embedding/native/"],
  "@huggingface/tokenizers": ["src/embedding/"],
  "@logtape/logtape": ["src/telemetry/"],
  "@logtape/pretty": ["src/telemetry/"],
  "@elysiajs/opentelemetry": ["src/http/"],
  "@opentelemetry/api": ["src/telemetry/"],
  "@opentelemetry/core": ["src/telemetry/"],
  "@opentelemetry/context-async-hooks": ["src/telemetry/"],
  "@opentelemetry/exporter-metrics-otlp-http": ["src/telemetry/"],
  "@opentelemetry/resources": ["src/telemetry/"],
  "@opentelemetry/sdk-metrics": ["src/telemetry/"],
  "@opentelemetry/sdk-trace-base": ["src/telemetry/"],
  commander: ["src/cli/"],
  picocolors: ["src/cli/"],
  "csv-parse": ["src/ingest/"],
  stemmer: ["src/keyword/"],
};

interface Source {
  path: string;
  text: string;
}

async function sources(pattern: string): Promise<Source[]> {
  const paths = await Array.fromAsync(new Bun.Glob(pattern).scan("."));
  return Promise.all(
    paths.toSorted().map(async (path) => ({ path, text: await Bun.file(path).text() })),
  );
}

const roomOf = (path: string): string =>
  (path.replace(/^src\//, "").split("/")[0] ?? "").replace(/\.ts$/, "");

/** Specifier and whether only types are taken, of every import and re-export. */
function importsOf(text: string): { specifier: string; typeOnly: boolean }[] {
  const found = text.matchAll(
    /(?:^|\n)\s*(import|export)\s+(type\s)?[^;]*?from\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g,
  );
  return [...found].map(([, , type, fixed, dynamic]) => ({
    specifier: fixed ?? dynamic ?? "",
    typeOnly: type !== undefined,
  }));
}

test("every import follows the room table", async () => {
  const wrong: string[] = [];
  for (const { path, text } of await sources("src/**/*.ts")) {
    for (const { specifier, typeOnly } of importsOf(text)) {
      const owners = OWNERS[specifier.replace(/^((?:@[^/]+\/)?[^/]+)\/.*$/, "$1")];
      if (!typeOnly && owners !== undefined && !owners.some((folder) => path.startsWith(folder))) {
        wrong.push(`${path}: '${specifier}' belongs to ${owners.join(", ")}`);
      }
      if (!specifier.startsWith(".")) continue;
      const target = normalize(join(dirname(path), specifier));
      if (!target.startsWith("src/")) continue;
      const [from, to] = [roomOf(path), roomOf(target)];
      if (from === to) continue;
      if (!(MAY_IMPORT[from] ?? []).includes(to))
        wrong.push(`${path}: ${from} may not import ${to}`);
      if (!typeOnly && TYPES_ONLY[to]?.includes(from))
        wrong.push(`${path}: ${from} may take only types from ${to}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("the client package stands alone", async () => {
  const wrong = (await sources("client/src/**/*.ts")).flatMap(({ path, text }) =>
    importsOf(text)
      .filter(({ specifier }) => !/^\.\/[a-z-]+\.ts$/.test(specifier))
      .map(({ specifier }) => `${path}: '${specifier}' is not of the package`),
  );
  expect(wrong).toEqual([]);
});

test("the room table has every room and no cycle", async () => {
  const rooms = new Set((await sources("src/**/*.ts")).map(({ path }) => roomOf(path)));
  expect([...rooms].toSorted()).toEqual(Object.keys(MAY_IMPORT).toSorted());
  const path: string[] = [];
  const visit = (name: string): void => {
    expect(path, `cycle ${[...path, name].join(" -> ")}`).not.toContain(name);
    path.push(name);
    for (const next of MAY_IMPORT[name] ?? []) visit(next);
    path.pop();
  };
  for (const name of Object.keys(MAY_IMPORT)) visit(name);
});

test("only the CLI's output file writes to the terminal, and nothing is left to do later", async () => {
  const wrong = (await sources("src/**/*.ts")).flatMap(({ path, text }) => [
    ...(path !== "src/cli/output.ts" && /\bconsole\.|process\.std(out|err)\.write/.test(text)
      ? [`${path}: log through telemetry, or print through cli/output.ts`]
      : []),
    ...(/\b(TODO|FIXME|XXX)\b(?!\(#\d+\))/.test(text)
      ? [`${path}: do it, or name its issue as TODO(#123)`]
      : []),
  ]);
  expect(wrong).toEqual([]);
});

test("event names are constants, so that they can be searched for", async () => {
  const wrong = (await sources("src/**/*.ts")).flatMap(({ path, text }) =>
    [...text.matchAll(/\blog\.(?:debug|info|warning|error|fatal)\(\s*([^\s,)]+)/g)]
      .map(([, argument]) => argument ?? "")
      .filter((argument) => !/^"[a-z0-9_.]+"$/.test(argument))
      .map((argument) => `${path}: ${argument} is no constant event name; put values in fields`),
  );
  expect(wrong).toEqual([]);
});

test("every problem code is thrown, documented and tested", async () => {
  const code = (await sources("src/**/*.ts")).filter(({ path }) => path !== "src/problems.ts");
  const tests = await sources("test/**/*.ts");
  const docs = await Bun.file("docs/problems.md").text();
  const missing = Object.keys(PROBLEMS).flatMap((name) => [
    ...(code.some(({ text }) => text.includes(`"${name}"`)) ? [] : [`${name} is never used`]),
    ...(tests.some(({ text }) => text.includes(name)) ? [] : [`${name} has no test`]),
    ...(docs.includes(`\`${name}\``) ? [] : [`${name} is not in docs/problems.md`]),
  ]);
  expect(missing).toEqual([]);
});

test("every limit is used", async () => {
  const code = await sources("src/**/*.ts");
  const unused = Object.keys(limits).filter(
    (name) => !code.some(({ text }) => text.includes(`limits.${name}`)),
  );
  expect(unused).toEqual([]);
});

test("a module is read by a person in one go", async () => {
  const long = (await sources("{src,test,bench,scripts,client}/**/*.ts"))
    .filter(({ text }) => text.split("\n").length > 500)
    .map(({ path }) => `${path}: split it by what it is about`);
  expect(long).toEqual([]);
});

test("every document that another one names exists", async () => {
  const broken: string[] = [];
  // Each folder by itself: alternatives of several folders are none to Bun's Glob.
  const patterns = ["*.md", "docs/**/*.md", "bench/*.md", "client/*.md", "models/**/*.md"];
  const documents = (await Promise.all(patterns.map(sources))).flat();
  expect(documents.length).toBeGreaterThan(20);
  for (const { path, text } of documents) {
    for (const [, link = ""] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      // A link may lead to a folder.
      if (!existsSync(normalize(join(dirname(path), link)))) broken.push(`${path}: ${link}`);
    }
  }
  expect(broken).toEqual([]);
});
