import { describe, expect, test } from "bun:test";
import { logFormatOf, logLevelOf, parseConfig } from "../../../src/config.ts";
import {
  configurationDocs,
  envExample,
  printConfig,
  shownValue,
  unknownNames,
} from "../../../src/config/config-docs.ts";
import { problemOf } from "../problems/problem-of.ts";

type Env = Record<string, string>;

/** `NAME=value` lines as an environment; comments are left out. */
function envOf(text: string): Env {
  const lines = text.split("\n").flatMap((line) => /^([A-Z_]+)=(.*)$/.exec(line) ?? []);
  const env: Env = {};
  for (let index = 0; index < lines.length; index += 3)
    env[lines[index + 1] ?? ""] = lines[index + 2] ?? "";
  return env;
}

const uncommented = (text: string): string => text.replaceAll(/^# (?=[A-Z_]+=)/gm, "");

const ALL_NAMES = Object.keys(envOf(printConfig({})));

describe("parseConfig", () => {
  test("gives the documented defaults for an empty environment", () => {
    expect(parseConfig({})).toEqual({
      environment: "development",
      port: 8000,
      host: "127.0.0.1",
      dataDir: "data/db",
      logLevel: undefined,
      logFormat: undefined,
      embeddingModel: "all-MiniLM-L6-v2",
      searchTopK: 10,
      vectorIndex: "usearch",
      keywordIndex: "postings",
      indexPath: undefined,
      indexSealRows: 4096,
      indexMemoryMegabytes: 0,
      collectionMemoryMegabytes: 0,
      diskFreeMegabytes: 256,
      engines: undefined,
      requestTimeoutSeconds: 30,
      durability: "full",
      writeTransactionDocuments: 100,
      drainTimeoutSeconds: 30,
      webhookPrivateAddresses: false,
      wsHeartbeatSeconds: 15,
      wsStaleSeconds: 60,
      wsOrigins: [],
      wsConnections: 50_000,
      wsFramesPerSecond: 50,
      wsFramesBurst: 100,
      logFile: undefined,
      logFileBytesMax: 67_108_864,
      logFilesKept: 10,
      auditLog: undefined,
      healthDetail: "public",
      startupUptimeSeconds: 2,
      startupTimeoutSeconds: 600,
      rateLimit: 0,
      rateBurst: 100,
      trustProxy: 0,
      metricsExporter: "prometheus",
      metricsExportMs: 60_000,
      otelEnabled: undefined,
      otelEndpoint: undefined,
      otelHeaders: {},
      otelServiceName: "slipstream",
      traceDetail: "light",
      traceShare: 1,
      jobWorkers: 2,
      backupsKeep: 7,
    });
  });

  test("reads every setting from its name", () => {
    expect(
      parseConfig({
        APP_ENVIRONMENT: "staging",
        PORT: "0",
        HOST: "::1",
        DATA_DIR: "/srv/data",
        LOG_LEVEL: "ERROR",
        LOG_FORMAT: "Console",
        EMBEDDING_MODEL_NAME: "static-256",
        SEARCH_TOP_K: "1000",
        VECTOR_INDEX: "HNSWLIB",
        KEYWORD_INDEX: "Both",
        INDEX_PATH: "/fast/index",
        INDEX_SEAL_ROWS: "100",
        INDEX_MEMORY_MB: "4096",
        COLLECTION_MEMORY_MB: "512",
        DISK_FREE_MIN_MB: "0",
        ENGINES: "3",
        REQUEST_TIMEOUT: "5",
        DURABILITY: "Relaxed",
        WRITE_TRANSACTION_DOCUMENTS: "1",
        DRAIN_TIMEOUT: "0",
        WEBHOOK_PRIVATE_ADDRESSES: "1",
        WS_HEARTBEAT_INTERVAL: "20",
        WS_STALE_TIMEOUT: "40",
        CORS_ORIGINS: "https://a.example, http://localhost:3000",
        WS_CONNECTIONS_MAX: "7",
        WS_RATE: "8",
        WS_BURST: "9",
        LOG_FILE: "/var/log/slipstream.log",
        LOG_FILE_BYTES_MAX: "65536",
        LOG_FILES_KEPT: "0",
        AUDIT_LOG: "/var/log/audit",
        HEALTH_DETAIL: "Off",
        STARTUP_MIN_UPTIME: "0",
        STARTUP_TIMEOUT: "60",
        RATE_LIMIT: "10",
        RATE_BURST: "20",
        TRUST_PROXY: "1",
        METRICS_EXPORTER: "OTLP",
        OTEL_METRIC_EXPORT_INTERVAL: "5000",
        OTEL_ENABLED: "true",
        OTEL_EXPORTER_OTLP_ENDPOINT: "https://otel.example:4318",
        OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%2Cb, x-other=,",
        OTEL_SERVICE_NAME: "search",
        TRACE_DETAIL: "detailed",
        OTEL_TRACES_SAMPLER_ARG: "0.5",
        JOB_WORKERS: "3",
        BACKUPS_KEEP: "9",
      }),
    ).toEqual({
      environment: "staging",
      port: 0,
      host: "::1",
      dataDir: "/srv/data",
      logLevel: "error",
      logFormat: "console",
      embeddingModel: "static-256",
      searchTopK: 1000,
      vectorIndex: "hnswlib",
      keywordIndex: "both",
      indexPath: "/fast/index",
      indexSealRows: 100,
      indexMemoryMegabytes: 4096,
      collectionMemoryMegabytes: 512,
      diskFreeMegabytes: 0,
      engines: 3,
      requestTimeoutSeconds: 5,
      durability: "relaxed",
      writeTransactionDocuments: 1,
      drainTimeoutSeconds: 0,
      webhookPrivateAddresses: true,
      wsHeartbeatSeconds: 20,
      wsStaleSeconds: 40,
      wsOrigins: ["https://a.example", "http://localhost:3000"],
      wsConnections: 7,
      wsFramesPerSecond: 8,
      wsFramesBurst: 9,
      logFile: "/var/log/slipstream.log",
      logFileBytesMax: 65_536,
      logFilesKept: 0,
      auditLog: "/var/log/audit",
      healthDetail: "off",
      startupUptimeSeconds: 0,
      startupTimeoutSeconds: 60,
      rateLimit: 10,
      rateBurst: 20,
      trustProxy: 1,
      metricsExporter: "otlp",
      metricsExportMs: 5000,
      otelEnabled: true,
      otelEndpoint: "https://otel.example:4318",
      otelHeaders: { "x-key": "a,b", "x-other": "" },
      otelServiceName: "search",
      traceDetail: "detailed",
      traceShare: 0.5,
      jobWorkers: 3,
      backupsKeep: 9,
    });
  });

  test("takes an empty value for the default", () => {
    const empty = Object.fromEntries([...ALL_NAMES, "ENVIRONMENT"].map((name) => [name, ""]));
    expect(parseConfig(empty)).toEqual(parseConfig({}));
  });

  test("takes ENVIRONMENT where APP_ENVIRONMENT is missing or empty, and never over it", () => {
    expect(parseConfig({ ENVIRONMENT: "staging" }).environment).toBe("staging");
    expect(parseConfig({ APP_ENVIRONMENT: "", ENVIRONMENT: "staging" }).environment).toBe(
      "staging",
    );
    expect(parseConfig({ APP_ENVIRONMENT: "testing", ENVIRONMENT: "staging" }).environment).toBe(
      "testing",
    );
  });

  test.each([
    ["dev", "development"],
    ["test", "testing"],
    ["prod", "production"],
    ["PROD", "production"],
    ["Production", "production"],
  ] as const)("takes the environment %s for %s", (text, environment) => {
    expect(parseConfig({ APP_ENVIRONMENT: text }).environment).toBe(environment);
  });

  test.each([
    ["warn", "warning"],
    ["fatal", "critical"],
    ["DEBUG", "debug"],
  ] as const)("takes the log level %s for %s", (text, level) => {
    expect(parseConfig({ LOG_LEVEL: text }).logLevel).toBe(level);
  });

  test("takes auto and 0 for the number of engines as two different things", () => {
    expect(parseConfig({ ENGINES: "AUTO" }).engines).toBeUndefined();
    expect(parseConfig({ ENGINES: "0" }).engines).toBe(0);
  });

  test("names every wrong setting at once and repeats no value", async () => {
    const wrong: Env = {
      APP_ENVIRONMENT: "secret-1",
      PORT: "65536",
      HOST: "secret-2.example",
      DATA_DIR: "  ",
      LOG_LEVEL: "secret-3",
      LOG_FORMAT: "secret-4",
      EMBEDDING_MODEL_NAME: "\t",
      SEARCH_TOP_K: "0",
      VECTOR_INDEX: "secret-5",
      KEYWORD_INDEX: "secret-6",
      INDEX_PATH: "\0",
      INDEX_SEAL_ROWS: "99",
      INDEX_MEMORY_MB: "1e3",
      COLLECTION_MEMORY_MB: "1048577",
      DISK_FREE_MIN_MB: "-1",
      ENGINES: "65",
      DRAIN_TIMEOUT: "-1",
    };
    const problem = await problemOf(() => parseConfig(wrong));
    expect(problem.code).toBe("config_invalid");
    expect(problem.errors.map(({ field }) => field).toSorted()).toEqual(
      Object.keys(wrong).toSorted(),
    );
    for (const name of Object.keys(wrong)) expect(problem.detail).toContain(`${name} `);
    expect(problem.detail).not.toContain("secret");
  });

  test.each([
    ["PORT", "APP_PORT", "81"],
    ["WS_HEARTBEAT_INTERVAL", "APP_WS__HEARTBEAT_INTERVAL", "20"],
    ["EMBEDDING_MODEL_NAME", "APP_EMBEDDING__MODEL_NAME", "static-256"],
  ])("takes %s by its nested name %s too, and the plain one before it", (plain, nested, value) => {
    const wanted = parseConfig({ [plain]: value });
    expect(wanted).not.toEqual(parseConfig({}));
    expect(parseConfig({ [nested]: value })).toEqual(wanted);
    expect(parseConfig({ [plain]: value, [nested]: "wrong" })).toEqual(wanted);
  });

  test("takes OTEL_EXPORTER_ENDPOINT where OTEL_EXPORTER_OTLP_ENDPOINT is missing", () => {
    const [old, url] = ["http://old.example:4318", "http://otel.example:4318"];
    expect(parseConfig({ OTEL_EXPORTER_ENDPOINT: old }).otelEndpoint).toBe(old);
    const both = { OTEL_EXPORTER_ENDPOINT: old, OTEL_EXPORTER_OTLP_ENDPOINT: url };
    expect(parseConfig(both).otelEndpoint).toBe(url);
  });

  test("names a wrong nested setting as it was written", async () => {
    const problem = await problemOf(() => parseConfig({ APP_SEARCH__TOP_K: "0" }));
    expect(problem.errors.map(({ field }) => field)).toEqual(["APP_SEARCH__TOP_K"]);
  });

  test("names a setting as it was written", async () => {
    const problem = await problemOf(() => parseConfig({ ENVIRONMENT: "x" }));
    expect(problem.errors.map(({ field }) => field)).toEqual(["ENVIRONMENT"]);
  });

  test.each(["8e3", "0x10", "80.0", " 80", "+80", "eighty", "99999999999999999999", "Infinity"])(
    "refuses %j as a port",
    async (text) => {
      const problem = await problemOf(() => parseConfig({ PORT: text }));
      expect(problem.errors).toEqual([
        { field: "PORT", message: "must be a whole number from 0 to 65535" },
      ]);
    },
  );

  test.each(["0.0.0.0", "::", "192.168.0.1", "example.org", "127.0.0.1.example.org"])(
    "refuses to listen on %s, which others could reach",
    async (host) => {
      const problem = await problemOf(() => parseConfig({ HOST: host }));
      expect(problem.errors.map(({ field }) => field)).toEqual(["HOST"]);
      expect(problem.detail).toContain("loopback");
    },
  );

  test.each(["127.0.0.1", "::1", "localhost"])("listens on %s", (host) => {
    expect(parseConfig({ HOST: host }).host).toBe(host);
  });

  test.each(["constructor", "__proto__", "toString"])(
    "refuses the environment %s, which every object has",
    async (text) => {
      expect((await problemOf(() => parseConfig({ APP_ENVIRONMENT: text }))).code).toBe(
        "config_invalid",
      );
    },
  );
});

describe("a profile", () => {
  test.each([
    ["development", "console", "info"],
    ["testing", "console", "info"],
    ["staging", "json", "debug"],
    ["production", "json", "info"],
  ] as const)("%s logs as %s from %s on", (environment, format, level) => {
    const config = parseConfig({ APP_ENVIRONMENT: environment });
    expect(logFormatOf(config)).toBe(format);
    expect(logLevelOf(config)).toBe(level);
  });

  test("yields to LOG_FORMAT and LOG_LEVEL", () => {
    const config = parseConfig({
      APP_ENVIRONMENT: "production",
      LOG_FORMAT: "console",
      LOG_LEVEL: "critical",
    });
    expect(logFormatOf(config)).toBe("console");
    expect(logLevelOf(config)).toBe("critical");
  });
});

describe("what is shown of the settings", () => {
  test("has no password in it and no secret", () => {
    expect(
      printConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: "https://me:s3cret@otel.example:4318/x" }),
    ).toContain("OTEL_EXPORTER_OTLP_ENDPOINT=https://***@otel.example:4318/x\n");
    expect(shownValue("DATABASE_URL", "postgres://me:s3cret@db.example/one")).toBe(
      "postgres://***@db.example/one",
    );
    expect(shownValue("ADMIN_TOKEN", "s3cret")).toBe("***");
    expect(shownValue("ADMIN_TOKEN", "")).toBe("");
    expect(shownValue("DATA_DIR", "/srv/me@home/data")).toBe("/srv/me@home/data");
  });

  test("tells nested names that are no setting's", () => {
    const env = { APP_WS__RATE: "1", APP_WS__RAET: "1", APP_NAME: "other", APP_ENVIRONMENT: "dev" };
    expect(unknownNames(env)).toEqual(["APP_WS__RAET"]);
  });
});

describe("what is generated from the settings", () => {
  test("names as many settings as there are", () => {
    expect(ALL_NAMES).toHaveLength(Object.keys(parseConfig({})).length);
  });

  test("the settings in force read back as themselves", () => {
    const env = { ENVIRONMENT: "prod", PORT: "81", LOG_LEVEL: "warn" };
    expect(parseConfig(envOf(printConfig({})))).toEqual(parseConfig({}));
    expect(parseConfig(envOf(printConfig(env)))).toEqual(parseConfig(env));
  });

  test("the docs have one row a setting, with its name and its default", () => {
    const rows = configurationDocs()
      .split("\n")
      .flatMap((line) => /^\| `([A-Z_]+)`[^|]*\| (?:`([^`]*)`)? \|/.exec(line)?.slice(1, 3) ?? []);
    const defaults = Object.fromEntries(
      ALL_NAMES.map((_, index) => [rows[index * 2] ?? "", rows[index * 2 + 1] ?? ""]),
    );
    expect(rows).toHaveLength(ALL_NAMES.length * 2);
    expect(defaults).toEqual(envOf(printConfig({})));
    expect(configurationDocs()).toContain("(or `ENVIRONMENT`)");
  });

  test("the example environment changes nothing as it is, and nothing when every line is uncommented", () => {
    const text = envExample("development");
    expect(envOf(text)).toEqual({});
    expect(Object.keys(envOf(uncommented(text)))).toEqual(ALL_NAMES);
    expect(parseConfig(envOf(uncommented(text)))).toEqual(parseConfig({}));
  });

  test("the example for production sets what production needs and is valid in every line", () => {
    const text = envExample("production");
    expect(parseConfig(envOf(text)).environment).toBe("production");
    expect(Object.keys(envOf(uncommented(text)))).toEqual(ALL_NAMES);
    expect(logFormatOf(parseConfig(envOf(uncommented(text))))).toBe("json");
  });
});
