import { parseConfig } from "../config.ts";
import {
  configurationDocs,
  printConfig,
  shownConfig,
  unknownNames,
} from "../config/config-docs.ts";
import { printResult, say } from "./output.ts";

/** Says which names look like settings and are none. @throws Problem `config_invalid` that names every wrong setting */
export function checkCommand(): number {
  parseConfig(process.env);
  for (const name of unknownNames(process.env)) say(`${name} is no setting and does nothing.`);
  printResult("The configuration is valid.");
  return 0;
}

/** The settings in force, wrong ones included, secrets covered. */
export function printCommand({ json }: { json?: boolean }): void {
  if (json) printResult(JSON.stringify(shownConfig(process.env)));
  else printResult(printConfig(process.env).trimEnd());
}

/** The documentation of all settings, Markdown. */
export function docsCommand(): void {
  printResult(configurationDocs().trimEnd());
}
