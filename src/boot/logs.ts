import { basename } from "node:path";
import type { Config } from "../config.ts";
import { captureForeignOutput } from "../telemetry/foreign-output.ts";
import { LineSink } from "../telemetry/line-sink.ts";
import { LogFile } from "../telemetry/log-file.ts";
import { configureLogging, getLogger, outsideRequests } from "../telemetry/logs.ts";

const log = getLogger("logs");

/** Logs of a command, whose results are on stdout, to stderr. */
export async function openLogs(config: Config): Promise<AsyncDisposable> {
  const sink = new LineSink(2, { onLost: tellLost });
  await configureLogging(config, sink);
  return sink;
}

/** Logs of a server to stdout, and to a file where the settings name one; what others print is logged too. */
export async function openServerLogs(config: Config): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const sinks = [stack.use(new LineSink(1, { onLost: tellLost }))];
  if (config.logFile !== undefined) {
    const file = logFile({ ...config, logFile: config.logFile });
    sinks.push(stack.use(new LineSink(file, { onLost: tellLost })));
  }
  await configureLogging(config, {
    push(line) {
      for (const sink of sinks) sink.push(line);
    },
    get dropped() {
      return sinks.reduce((sum, { dropped }) => sum + dropped, 0);
    },
  });
  stack.use(captureForeignOutput());
  return stack.move();
}

/** Each sink tells of its own losses, in all of them. */
function tellLost(lines: number): void {
  // The request that happened to set the write off has nothing to do with it.
  outsideRequests(() => log.warning("log.dropped", { lines }));
}

function logFile({
  logFile: path,
  logFileBytesMax: bytesMax,
  logFilesKept: kept,
}: Pick<Config, "logFileBytesMax" | "logFilesKept"> & { logFile: string }): LogFile {
  const prefix = `${basename(path)}.`;
  return new LogFile({
    path: () => path,
    bytesMax,
    isOurs: (name) =>
      name.startsWith(prefix) && /^\d{4}-\d\d-\d\dT/.test(name.slice(prefix.length)),
    outdated: (files) => files.slice(0, Math.max(0, files.length - kept)),
  });
}
