import { configurationDocs, parseConfig, printConfig } from "../config.ts";
import { printResult } from "./output.ts";

/** @throws Problem `config_invalid` that names every wrong setting */
export function checkCommand(): number {
  parseConfig(process.env);
  printResult("The configuration is valid.");
  return 0;
}

/** The settings in force, wrong ones included. */
export function printCommand(): void {
  printResult(printConfig(process.env).trimEnd());
}

/** The documentation of all settings, Markdown. */
export function docsCommand(): void {
  printResult(configurationDocs().trimEnd());
}
