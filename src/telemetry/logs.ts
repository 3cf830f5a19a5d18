import { AsyncLocalStorage } from "node:async_hooks";
import {
  configure,
  getLogger as getLogTapeLogger,
  withContext,
  type LogRecord,
  type Logger,
  type LogLevel as LogTapeLevel,
} from "@logtape/logtape";
import { getPrettyFormatter } from "@logtape/pretty";
import { logFormatOf, logLevelOf, type Config, type LogLevel } from "../config.ts";
import { VERSION } from "../version.ts";
/** Where finished lines go. */
interface LineTaker {
  push(line: string): void;
}

let lines: LineTaker | undefined;

/** Writes a line that another process of this program has made. */
export function forwardLine(line: string): void {
  lines?.push(line);
}

const LEVELS: Readonly<Record<LogLevel, LogTapeLevel>> = {
  debug: "debug",
  info: "info",
  warning: "warning",
  error: "error",
  critical: "fatal",
};

/**
 * Sends every log record to one sink. Records are `logger.info("event.name", { field: value })`: the event is a constant,
 * values are fields. Called first at boot and again by tests.
 */
export async function configureLogging(
  config: Pick<Config, "environment" | "logFormat" | "logLevel">,
  sink: LineTaker,
): Promise<void> {
  lines = sink;
  const format =
    logFormatOf(config) === "json"
      ? jsonLine(config.environment)
      : getPrettyFormatter({ properties: true });
  const lowestLevel = LEVELS[logLevelOf(config)];
  await configure({
    reset: true,
    contextLocalStorage: new AsyncLocalStorage(),
    sinks: { lines: (record) => sink.push(format(record)) },
    loggers: [
      { category: ["slipstream"], lowestLevel, sinks: ["lines"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["lines"] },
    ],
  });
}

/** The logger of a module; `module` is its room, as in `getLogger("store")`. */
export function getLogger(module: string): Logger {
  return getLogTapeLogger(["slipstream", module]);
}

/** Runs `work` with fields, such as `request_id`, in every record logged by it or by what it awaits. */
export function withLogContext<T>(fields: Record<string, unknown>, work: () => T): T {
  return withContext(fields, work);
}

/** Taken while no request runs: modules are loaded at start. */
const noRequest = AsyncLocalStorage.snapshot();

/** Runs work that outlives the request that set it off, so that its log lines do not bear that request's id. */
export function outsideRequests<T>(work: () => T): T {
  return noRequest(work);
}

/** One JSON object and a newline. An `Error` among the fields becomes its type, message and stack. */
function jsonLine(environment: string): (record: LogRecord) => string {
  return (record) => {
    const line: Record<string, unknown> = {
      timestamp: new Date(record.timestamp).toISOString(),
      level: record.level === "fatal" ? "critical" : record.level,
      logger: record.category.join("."),
      event: typeof record.rawMessage === "string" ? record.rawMessage : record.rawMessage.join(""),
      app_name: VERSION.name,
      environment,
      version: VERSION.version,
    };
    for (const [key, value] of Object.entries(record.properties)) line[key] ??= value;
    return `${stringify(line)}\n`;
  };
}

/** Causes of causes that a line shows; an error can be its own. */
const CAUSES_MAX = 5;

/** JSON of a record; a field that JSON cannot hold costs itself and not the line. */
function stringify(line: Record<string, unknown>): string {
  try {
    return JSON.stringify(line, plainer);
  } catch {
    const safe = Object.entries(line).map(([key, value]) => [
      key,
      holds(value) ? value : "[not JSON]",
    ]);
    return JSON.stringify(Object.fromEntries(safe), plainer);
  }
}

function holds(value: unknown): boolean {
  try {
    JSON.stringify(value, plainer);
    return true;
  } catch {
    return false;
  }
}

function plainer(_key: string, value: unknown): unknown {
  if (value instanceof Error) return plainError(value, CAUSES_MAX);
  return typeof value === "bigint" ? value.toString() : value;
}

function plainError(error: Error, causes: number): Record<string, unknown> {
  const { name: type, message, stack, cause } = error;
  if (cause === undefined || causes === 0) return { type, message, stack };
  return {
    type,
    message,
    stack,
    cause: cause instanceof Error ? plainError(cause, causes - 1) : cause,
  };
}
