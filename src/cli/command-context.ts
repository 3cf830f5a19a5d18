import { openLogs } from "../boot/logs.ts";
import { parseConfig, type Config } from "../config.ts";
import { openTarget, type Target, type TargetOptions } from "./target.ts";

/** Settings of a command that is not a server: only what is wrong is logged, to stderr. */
function commandConfig(): Config {
  const config = parseConfig(process.env);
  return { ...config, logLevel: config.logLevel ?? "error" };
}

/** Runs a command against the server that holds the data, or in this process. `options` and @throws as `openTarget` */
export async function withTarget<T>(
  work: (target: Target, config: Config) => Promise<T>,
  options: TargetOptions = {},
): Promise<T> {
  const config = commandConfig();
  await using _logs = await openLogs(config);
  await using target = await openTarget(config, options);
  return await work(target, config);
}
