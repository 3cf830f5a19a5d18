import manifest from "../models/manifest.json" with { type: "json" };
import { Problem, type FieldError } from "./problems.ts";

/** How a setting is read: the text of the environment in, a value or a sentence that says what is wrong out. */
type Reading<T> = { ok: true; value: T } | { ok: false; message: string };

interface Setting<T> {
  /** Environment names, the canonical one first. */
  names: readonly [string, ...string[]];
  /** The default as it would be written in the environment. */
  fallback: string;
  /** What it may be, for the docs. */
  accepts: string;
  /** What it does, one sentence or two. */
  docs: string;
  /** The value for production and a remark, where they differ from the default. */
  production?: { value: string; remark: string };
  read: (text: string) => Reading<T>;
}

const ENVIRONMENTS = ["development", "testing", "staging", "production"] as const;
const ENVIRONMENT_ALIASES: Readonly<Record<string, string>> = {
  dev: "development",
  test: "testing",
  prod: "production",
};
/** Installed models by their names; the case is kept. */
const MODEL_NAMES = manifest.models.map((model) => model.name);
const LOG_LEVELS = ["debug", "info", "warning", "error", "critical"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

function choice<T extends string>(
  choices: readonly T[],
  aliases: Readonly<Record<string, string>> = {},
) {
  return (text: string): Reading<T> => {
    const lower = text.toLowerCase();
    const wanted = aliases[lower] ?? lower;
    const found = choices.find((one) => one.toLowerCase() === wanted);
    if (found !== undefined) return { ok: true, value: found };
    return { ok: false, message: `must be one of ${choices.join(", ")}` };
  };
}

function integer(min: number, max: number) {
  return (text: string): Reading<number> => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= min && value <= max) return { ok: true, value };
    return { ok: false, message: `must be a whole number from ${min} to ${max}` };
  };
}

function nonEmpty(text: string): Reading<string> {
  if (text.trim() === "" || text.includes("\0")) return { ok: false, message: "must not be empty" };
  return { ok: true, value: text };
}

/** `auto` is undefined: the machine decides. */
function enginesReading(text: string): Reading<number | undefined> {
  if (text.toLowerCase() === "auto") return { ok: true, value: undefined };
  const count = integer(0, 64)(text);
  return count.ok ? count : { ok: false, message: "must be auto or a whole number from 0 to 64" };
}

function setting<T>(one: Setting<T>): Setting<T> {
  return one;
}

/** The one schema: every setting, its default, its environment names and its docs. */
const SETTINGS = {
  environment: setting({
    names: ["APP_ENVIRONMENT", "ENVIRONMENT"],
    fallback: "development",
    accepts: "development, testing, staging or production (dev, test and prod for short)",
    docs: "The profile: it decides the defaults of `LOG_FORMAT` and `LOG_LEVEL`.",
    production: { value: "production", remark: "JSON Lines logs" },
    read: choice(ENVIRONMENTS, ENVIRONMENT_ALIASES),
  }),
  port: setting({
    names: ["PORT"],
    fallback: "8000",
    accepts: "0 to 65535; 0 takes any free port",
    docs: "TCP port of the HTTP server.",
    read: integer(0, 65_535),
  }),
  host: setting({
    names: ["HOST"],
    fallback: "127.0.0.1",
    accepts: "a loopback address: 127.0.0.1, ::1 or localhost",
    docs: "Address to listen on. There are no API keys yet, so any address that others could reach is refused; put a proxy that authenticates in front.",
    read: nonEmpty,
  }),
  dataDir: setting({
    names: ["DATA_DIR"],
    fallback: "data/db",
    accepts: "a folder, made if it is missing",
    docs: "Where everything is kept: the database, its backups, the lock.",
    production: { value: "/var/lib/slipstream", remark: "A local disk, not a network share" },
    read: nonEmpty,
  }),
  logLevel: setting({
    names: ["LOG_LEVEL"],
    fallback: "",
    accepts: `${LOG_LEVELS.join(", ")}; empty takes the profile's (debug in staging, else info)`,
    docs: "The least level that is written.",
    read: (text: string): Reading<LogLevel | undefined> =>
      text === ""
        ? { ok: true, value: undefined }
        : choice(LOG_LEVELS, { warn: "warning", fatal: "critical" })(text),
  }),
  logFormat: setting({
    names: ["LOG_FORMAT"],
    fallback: "",
    accepts:
      "json or console; empty takes the profile's (console in development and testing, else json)",
    docs: "`json` writes one JSON object a line, `console` coloured lines for people.",
    read: (text: string): Reading<"json" | "console" | undefined> =>
      text === "" ? { ok: true, value: undefined } : choice(["json", "console"] as const)(text),
  }),
  embeddingModel: setting({
    names: ["EMBEDDING_MODEL_NAME"],
    fallback: "all-MiniLM-L6-v2",
    accepts: MODEL_NAMES.join(" or "),
    docs: "Model of a collection that names none.",
    read: choice(MODEL_NAMES),
  }),
  searchTopK: setting({
    names: ["SEARCH_TOP_K"],
    fallback: "10",
    accepts: "1 to 1000",
    docs: "Hits of a search that does not say `k`.",
    read: integer(1, 1000),
  }),
  vectorIndex: setting({
    names: ["VECTOR_INDEX"],
    fallback: "usearch",
    accepts: "usearch, hnswlib or exact",
    docs: "`usearch` is an HNSW graph in mapped files; `hnswlib` is one in memory, where its package was compiled; `exact` compares with every vector, in plain TypeScript with no native library.",
    read: choice(["usearch", "hnswlib", "exact"] as const),
  }),
  keywordIndex: setting({
    names: ["KEYWORD_INDEX"],
    fallback: "postings",
    accepts: "postings, fts5 or both",
    docs: "`postings` is an index of our own in mapped files. `fts5` keeps SQLite's full-text tables instead: slower to write and to search, without typo tolerance and other languages than English. `both` keeps these too, and they answer while the index is rebuilt.",
    read: choice(["postings", "fts5", "both"] as const),
  }),
  indexPath: setting({
    names: ["INDEX_PATH"],
    fallback: "",
    accepts: "a folder, made if it is missing; empty takes `index` in `DATA_DIR`",
    docs: "Where index files are kept. They can be made again from the database at any time.",
    read: (text: string): Reading<string | undefined> =>
      text === "" ? { ok: true, value: undefined } : nonEmpty(text),
  }),
  indexSealRows: setting({
    names: ["INDEX_SEAL_ROWS"],
    fallback: "4096",
    accepts: "100 to 100000",
    docs: "New chunks that are searched in memory before they are sealed into a file. More of them make searches slower while data comes in, fewer make more files to merge.",
    read: integer(100, 100_000),
  }),
  indexMemoryMegabytes: setting({
    names: ["INDEX_MEMORY_MB"],
    fallback: "0",
    accepts: "0 to 1048576 MB; 0 takes half of the machine's memory",
    docs: "Memory that all indexes may hold, mapped files not counted. Past it writes are refused with 507.",
    read: integer(0, 1_048_576),
  }),
  collectionMemoryMegabytes: setting({
    names: ["COLLECTION_MEMORY_MB"],
    fallback: "0",
    accepts: "0 to 1048576 MB; 0 sets no bound of its own",
    docs: "Memory that one collection's indexes may hold.",
    read: integer(0, 1_048_576),
  }),
  diskFreeMegabytes: setting({
    names: ["DISK_FREE_MIN_MB"],
    fallback: "256",
    accepts: "0 to 1048576 MB",
    docs: "Room that stays free on the disk of the indexes: below it writes are refused with 507 and reading goes on.",
    read: integer(0, 1_048_576),
  }),
  engines: setting({
    names: ["ENGINES"],
    fallback: "auto",
    accepts: "auto or 0 to 64",
    docs: "Child processes that answer queries, and as many again that embed documents while there are some. 0 does everything in the server's own thread; `auto` is one a core, at most eight.",
    read: enginesReading,
  }),
  requestTimeoutSeconds: setting({
    names: ["REQUEST_TIMEOUT"],
    fallback: "30",
    accepts: "1 to 3600 seconds",
    docs: "Longest time for one search. Past it the answer is 504, and the engine that had it is started again.",
    read: integer(1, 3600),
  }),
  durability: setting({
    names: ["DURABILITY"],
    fallback: "full",
    accepts: "full or relaxed",
    docs: "`full`: an acknowledged write is on the disk. `relaxed`: it is with the operating system, so that it outlives a crash of the process, but a power cut may lose the last ones.",
    read: choice(["full", "relaxed"] as const),
  }),
  writeTransactionDocuments: setting({
    names: ["WRITE_TRANSACTION_DOCUMENTS"],
    fallback: "100",
    accepts: "1 to 100",
    docs: "Documents that are committed together at most. 1 commits each write by itself.",
    read: integer(1, 100),
  }),
  drainTimeoutSeconds: setting({
    names: ["DRAIN_TIMEOUT"],
    fallback: "30",
    accepts: "0 to 3600 seconds",
    docs: "Longest wait for running requests at shutdown.",
    read: integer(0, 3600),
  }),
} as const;

type Settings = typeof SETTINGS;
type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** The settings of one process, read once at start. */
export type Config = { readonly [K in keyof Settings]: ValueOf<Settings[K]> };

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

type Environment = Readonly<Record<string, string | undefined>>;

function textOf(one: Setting<unknown>, env: Environment): string {
  return env[givenName(one, env)] || one.fallback;
}

/** The one of a setting's names under which it was set; its first where it was not. */
function givenName(one: Setting<unknown>, env: Environment): string {
  return one.names.find((name) => env[name]) ?? one.names[0];
}

/**
 * Reads the settings from an environment. @throws Problem `config_invalid` that names every wrong setting at once;
 * values are not repeated, since one could be a secret.
 */
export function parseConfig(env: Environment): Config {
  const errors: FieldError[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, one] of Object.entries(SETTINGS)) {
    const reading = one.read(textOf(one, env));
    if (reading.ok) values[key] = reading.value;
    else errors.push({ field: givenName(one, env), message: reading.message });
  }
  const host = values["host"];
  if (typeof host === "string" && !LOOPBACK.has(host)) {
    errors.push({
      field: "HOST",
      message:
        "must be a loopback address while there are no API keys: put an authenticating proxy in front",
    });
  }
  if (errors.length > 0) {
    const list = errors.map(({ field, message }) => `${field} ${message}`).join("; ");
    throw new Problem("config_invalid", `${list}.`, { errors });
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each key was filled by its own setting's reader above, which the compiler cannot follow
  return values as unknown as Config;
}

/** The format that logs have when `LOG_FORMAT` is empty. */
export function logFormatOf(config: Pick<Config, "logFormat" | "environment">): "json" | "console" {
  if (config.logFormat !== undefined) return config.logFormat;
  return config.environment === "development" || config.environment === "testing"
    ? "console"
    : "json";
}

/** The level that logs have when `LOG_LEVEL` is empty. */
export function logLevelOf(config: Pick<Config, "logLevel" | "environment">): LogLevel {
  return config.logLevel ?? (config.environment === "staging" ? "debug" : "info");
}

/** The settings in force as `NAME=value` lines, for `slipstream config print`. */
export function printConfig(env: Environment): string {
  return Object.values(SETTINGS)
    .map((one) => `${one.names[0]}=${textOf(one, env)}\n`)
    .join("");
}

/** `docs/configuration.md`, generated. */
export function configurationDocs(): string {
  const rows = Object.values(SETTINGS).map((one: Setting<unknown>) => {
    const [name, ...aliases] = one.names;
    const also = aliases.length > 0 ? ` (or \`${aliases.join("`, `")}\`)` : "";
    return `| \`${name}\`${also} | ${one.fallback === "" ? "" : `\`${one.fallback}\``} | ${one.accepts} | ${one.docs} |`;
  });
  return [
    "# Configuration",
    "",
    "<!-- Generated by `bun run gen`; edit src/config.ts instead. -->",
    "",
    "Settings come from the environment, then from a `.env` file in the working folder, then from the defaults below.",
    "A wrong one stops the start with exit code 78, and all wrong ones are named at once; `slipstream config check` says so without starting.",
    "",
    "| setting | default | accepts | what it does |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

/** `.env.example` or `.env.production.example`, generated: every setting with its docs, commented out at its default. */
export function envExample(profile: "development" | "production"): string {
  const blocks = Object.values(SETTINGS).map((one: Setting<unknown>) => {
    const special = profile === "production" ? one.production : undefined;
    const remark = special ? `\n# ${special.remark}.` : "";
    const line = special ? `${one.names[0]}=${special.value}` : `# ${one.names[0]}=${one.fallback}`;
    return `# ${one.docs}\n# Accepts: ${one.accepts}.${remark}\n${line}\n`;
  });
  return `# Settings of Slipstream (${profile}). Generated by \`bun run gen\`.\n\n${blocks.join("\n")}`;
}
