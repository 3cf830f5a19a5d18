import manifest from "../models/manifest.json" with { type: "json" };
import {
  choice,
  enginesReading,
  integer,
  nonEmpty,
  optional,
  origins,
  setting,
  type Reading,
  type Setting,
} from "./config/readings.ts";
import { WATCH_SETTINGS } from "./config/watch-settings.ts";
import { Problem, type FieldError } from "./problems.ts";

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

/** The one schema: every setting, its default, its environment names and its docs. */
export const SETTINGS = {
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
  logFile: setting({
    names: ["LOG_FILE"],
    fallback: "",
    accepts: "a path, whose folder is made if it is missing; empty writes no file",
    docs: "A file that is given every line of the log too. What cannot be written there, as on a full disk, is dropped and counted; no request waits for it.",
    read: optional,
  }),
  logFileBytesMax: setting({
    names: ["LOG_FILE_BYTES_MAX"],
    fallback: "67108864",
    accepts: "65536 to 1099511627776 bytes",
    docs: "Past it `LOG_FILE` is given the time in its name, and a new one is begun.",
    read: integer(65_536, 1_099_511_627_776),
  }),
  logFilesKept: setting({
    names: ["LOG_FILES_KEPT"],
    fallback: "10",
    accepts: "0 to 10000",
    docs: "Such files that are kept beside `LOG_FILE`; older ones are removed.",
    read: integer(0, 10_000),
  }),
  startupUptimeSeconds: setting({
    names: ["STARTUP_MIN_UPTIME"],
    fallback: "2",
    accepts: "0 to 3600 seconds",
    docs: "`/health/startup` says that the server has started once this time is over and every part is open.",
    read: integer(0, 3600),
  }),
  startupTimeoutSeconds: setting({
    names: ["STARTUP_TIMEOUT"],
    fallback: "600",
    accepts: "1 to 86400 seconds",
    docs: "Longest time for one step of the start, a migration with its copy of the database included. Past it the start has failed.",
    read: integer(1, 86_400),
  }),
  rateLimit: setting({
    names: ["RATE_LIMIT"],
    fallback: "0",
    accepts: "0 to 1000000 requests a second; 0 sets no bound",
    docs: "Requests a second that one address may send; more are answered with 429. Handshakes of `/live` count too, probes and `/metrics` do not.",
    read: integer(0, 1_000_000),
  }),
  rateBurst: setting({
    names: ["RATE_BURST"],
    fallback: "100",
    accepts: "1 to 1000000",
    docs: "Requests that one address may send at once after a pause.",
    read: integer(1, 1_000_000),
  }),
  trustProxy: setting({
    names: ["TRUST_PROXY"],
    fallback: "0",
    accepts: "0 to 16",
    docs: "Proxies in front of the server. The client's address is the one that the first of them has written into `X-Forwarded-For`; 0 does not read that header, which anybody can send.",
    read: integer(0, 16),
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
    read: optional,
  }),
  indexSealRows: setting({
    names: ["INDEX_SEAL_ROWS"],
    fallback: "4096",
    accepts: "100 to 100000",
    docs: "New chunks that are searched in memory before they are sealed into a file; up to four times as many while they come faster than that in four seconds. More of them make searches slower while data comes in, fewer make more files to merge.",
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
    docs: "Longest wait for running requests and jobs at shutdown. Jobs that are left go on at the next start.",
    read: integer(0, 3600),
  }),
  jobWorkers: setting({
    names: ["JOB_WORKERS"],
    fallback: "2",
    accepts: "0 to 64; 0 leaves all jobs in the queue",
    docs: "Jobs that run at once: uploads, backups, compaction. What takes long in them is done by child processes behind everything else.",
    read: integer(0, 64),
  }),
  backupsKeep: setting({
    names: ["BACKUPS_KEEP"],
    fallback: "7",
    accepts: "1 to 1000",
    docs: "Backups that are kept; older ones are removed when one more was made. Copies from before a migration are not counted.",
    read: integer(1, 1000),
  }),
  webhookPrivateAddresses: setting({
    names: ["WEBHOOK_PRIVATE_ADDRESSES"],
    fallback: "false",
    accepts: "true or false",
    docs: "Webhooks may go to addresses that are not of the public internet, and by http. For development, and for receivers in the same network where everyone who may make standing queries is trusted.",
    read: (text: string): Reading<boolean> => {
      const given = choice(["true", "false"] as const, { 1: "true", 0: "false" })(text);
      return given.ok ? { ok: true, value: given.value === "true" } : given;
    },
  }),
  wsHeartbeatSeconds: setting({
    names: ["WS_HEARTBEAT_INTERVAL"],
    fallback: "15",
    accepts: "1 to 300 seconds",
    docs: "Between two pings of a live connection.",
    read: integer(1, 300),
  }),
  wsStaleSeconds: setting({
    names: ["WS_STALE_TIMEOUT"],
    fallback: "60",
    accepts: "2 to 900 seconds, at least twice `WS_HEARTBEAT_INTERVAL`",
    docs: "A live connection that answers nothing is gone within this time: it is stale after three quarters of it. One that does not read what it is sent is cut after half of it.",
    read: integer(2, 900),
  }),
  wsOrigins: setting({
    names: ["CORS_ORIGINS", "WS_ORIGINS"],
    fallback: "",
    accepts: "origins such as `https://app.example.com`, with commas between them; `*` allows all",
    docs: "Pages of other hosts that may call the API and open a live connection. A page of the server's own host always may, and so may a program that is no browser.",
    read: origins,
  }),
  wsConnections: setting({
    names: ["WS_CONNECTIONS_MAX"],
    fallback: "50000",
    accepts: "1 to 1000000",
    docs: "Live connections at once; one more is closed with 1013. Each needs a file descriptor.",
    read: integer(1, 1_000_000),
  }),
  wsFramesPerSecond: setting({
    names: ["WS_RATE"],
    fallback: "50",
    accepts: "1 to 100000",
    docs: "Frames a second that one live connection may send.",
    read: integer(1, 100_000),
  }),
  wsFramesBurst: setting({
    names: ["WS_BURST"],
    fallback: "100",
    accepts: "1 to 100000",
    docs: "Frames that one live connection may send at once after a pause.",
    read: integer(1, 100_000),
  }),
  ...WATCH_SETTINGS,
} as const;

type Settings = typeof SETTINGS;
type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** The settings of one process, read once at start. */
export type Config = { readonly [K in keyof Settings]: ValueOf<Settings[K]> };

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

export type Environment = Readonly<Record<string, string | undefined>>;

/** All names of a setting, the canonical one first. The last is the nested one: `APP_WS__RATE` for `WS_RATE`. */
export function namesOf({ names }: Pick<Setting<unknown>, "names">): readonly string[] {
  const [first] = names;
  return first.startsWith("APP_") ? names : [...names, `APP_${first.replace("_", "__")}`];
}

/** A setting as it is written in an environment, or its default. */
export function textOf(one: Setting<unknown>, env: Environment): string {
  return env[givenName(one, env)] || one.fallback;
}

/** The one of a setting's names under which it was set; its first where it was not. */
function givenName(one: Setting<unknown>, env: Environment): string {
  return namesOf(one).find((name) => env[name]) ?? one.names[0];
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
  const [heartbeat, stale] = [values["wsHeartbeatSeconds"], values["wsStaleSeconds"]];
  if (typeof heartbeat === "number" && typeof stale === "number" && stale < 2 * heartbeat) {
    errors.push({
      field: "WS_STALE_TIMEOUT",
      message: "must be at least twice WS_HEARTBEAT_INTERVAL, so that a client can answer a ping",
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
