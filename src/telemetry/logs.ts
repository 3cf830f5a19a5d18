import { AsyncLocalStorage } from "node:async_hooks";
import {
  configure,
  getLogger as getLogTapeLogger,
  type LogRecord,
  type Logger,
  type LogLevel as LogTapeLevel,
} from "@logtape/logtape";
import { getPrettyFormatter } from "@logtape/pretty";
import { logFormatOf, logLevelOf, type Config, type LogLevel } from "../config.ts";
import { VERSION } from "../version.ts";
import { sanitizeSensitiveData } from "./redaction.ts";

/** Where finished lines go. */
interface LineTaker {
  push(line: string): void;
  /** Lines lost so far, where that can happen. */
  readonly dropped?: number;
}

let lines: LineTaker | undefined;

/** Log lines that were lost so far. */
export function linesDropped(): number {
  return lines?.dropped ?? 0;
}

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
  quick = logFormatOf(config) === "json" ? { environment: config.environment, sink } : undefined;
  isInfoWritten = lowestLevel === "debug" || lowestLevel === "info";
  isDebugWritten = lowestLevel === "debug";
  await configure({
    reset: true,
    contextLocalStorage: contexts,
    sinks: { lines: (record) => sink.push(format(sanitized(record))) },
    loggers: [
      { category: ["slipstream"], lowestLevel, sinks: ["lines"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["lines"] },
    ],
  });
}

let isDebugWritten = false;

/** Whether lines of level debug are written: what must not stand in the log of a quiet day can be shown then. */
export function debugIsWritten(): boolean {
  return isDebugWritten;
}

function sanitized(record: LogRecord): LogRecord {
  return { ...record, properties: sanitizeSensitiveData(record.properties) };
}

/** The logger of a module; `module` is its room, as in `getLogger("store")`. */
export function getLogger(module: string): Logger {
  return getLogTapeLogger(["slipstream", module]);
}

/** Fields of a line that are written as they are: no error, nothing that JSON cannot hold. */
export type PlainFields = Readonly<
  Record<string, string | number | null | Readonly<Record<string, string>>>
>;

/**
 * A line of one event at level info, for what is logged of each request: the logging library takes 8 us for a line, and
 * this a tenth of it. The line is the same, but that its context is given with its fields. `fields` is not called where
 * the level leaves the line out.
 */
export function createQuickLine(
  module: string,
  event: string,
): (fields: () => PlainFields) => void {
  const logger = getLogger(module);
  let formatter: QuickFormatter | undefined;
  return (fields) => {
    // The library would leave it out too, but looks at the contexts around it first: 0.2 us, of each line of a request.
    if (!isInfoWritten) return;
    if (quick === undefined) {
      logger.info(event, fields);
      return;
    }
    if (formatter?.of !== quick) formatter = quickFormatter(quick, { module, event });
    quick.sink.push(formatter.line(sanitizeSensitiveData(fields())));
  };
}

/** What of the request or job that runs stands in every record, such as `request_id`. */
const contexts = new AsyncLocalStorage<Record<string, unknown>>();

/** The fields that a record logged now would have from around it. */
export function currentContext(): Readonly<Record<string, unknown>> {
  return contexts.getStore() ?? {};
}

/**
 * Puts fields, such as `request_id`, into every record that this asynchronous call logs from now on, and what it awaits
 * or starts; its caller's records stay as they are. `withLogContext` ends by itself and is the better choice where the
 * work is one function.
 */
export function bindRequestContext(fields: Readonly<Record<string, unknown>>): void {
  contexts.enterWith({ ...contexts.getStore(), ...fields });
}

/** Takes all such fields away again for what follows. */
export function clearRequestContext(): void {
  contexts.enterWith({});
}

/** Runs `work` with fields, such as `request_id`, in every record logged by it or by what it awaits. */
export function withLogContext<T>(fields: Record<string, unknown>, work: () => T): T {
  const around = contexts.getStore();
  // A request has nothing around it.
  return contexts.run(around === undefined ? fields : { ...around, ...fields }, work);
}

/** Taken while no request runs: modules are loaded at start. */
const noRequest = AsyncLocalStorage.snapshot();

/** Runs work that outlives the request that set it off, so that its log lines do not bear that request's id. */
export function outsideRequests<T>(work: () => T): T {
  return noRequest(work);
}

/** Whether lines of level info are written, in either format. */
let isInfoWritten = false;

/** How quick lines are written now; undefined where the format is for people. */
interface Quick {
  environment: string;
  sink: LineTaker;
}

let quick: Quick | undefined;

interface QuickFormatter {
  of: Quick;
  line: (fields: PlainFields) => string;
}

/** The same for all lines of an event, but for the time and the fields. */
function quickFormatter(
  of: Quick,
  { module, event }: { module: string; event: string },
): QuickFormatter {
  const { environment } = of;
  const { name: app_name, version } = VERSION;
  const logger = `slipstream.${module}`;
  const fixed = JSON.stringify({ level: "info", logger, event, app_name, environment, version });
  const middle = `","${fixed.slice(2, -1)},`;
  return {
    of,
    line: (fields) => `{"timestamp":"${timestamp()}${middle}${JSON.stringify(fields).slice(1)}\n`,
  };
}

let stampedMs = 0;
let stamp = "";

/** Now as ISO text, which is made once a millisecond. */
function timestamp(): string {
  const now = Date.now();
  if (now !== stampedMs) {
    stampedMs = now;
    stamp = new Date(now).toISOString();
  }
  return stamp;
}

/** One JSON object and a newline. */
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
  return typeof value === "bigint" ? value.toString() : value;
}
