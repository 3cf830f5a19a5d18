import type { Config } from "../config.ts";
import { LineSink } from "../telemetry/line-sink.ts";
import { configureLogging } from "../telemetry/logs.ts";

/** Logs to a descriptor: 1 for a server, 2 for a command whose results are on 1. */
export async function openLogs(config: Config, descriptor: 1 | 2): Promise<LineSink> {
  const sink = new LineSink(descriptor);
  await configureLogging(config, sink);
  return sink;
}
