import { parseConfig } from "../config.ts";
import { Problem } from "../problems.ts";
import { migrateData, migrationStatus } from "../store/local/migrate-data.ts";
import { SCHEMA_VERSION } from "../store/local/migrations.ts";
import { printResult } from "./output.ts";

interface MigrateOptions {
  to?: string;
  json?: boolean;
}

/** One line a migration; 1 where one is not what was applied. */
export function statusCommand({ json }: Pick<MigrateOptions, "json">): number {
  const status = migrationStatus(parseConfig(process.env).dataDir);
  if (json) printResult(JSON.stringify(status));
  else {
    printResult(`The data has schema ${status.schema}, this version has ${status.known}.`);
    for (const { number, name, state, applied_at } of status.migrations)
      printResult(
        `${number}  ${name.padEnd(20)}  ${state}${applied_at === null ? "" : `  ${applied_at}`}`,
      );
  }
  return status.migrations.some(({ state }) => state === "changed") ? 1 : 0;
}

/** To the last schema, or to the one asked for. @throws Problem as `migrateData` */
export function upCommand(options: MigrateOptions): void {
  migrate(
    options,
    (from) => schemaOf(options, { least: from, most: SCHEMA_VERSION }) ?? SCHEMA_VERSION,
  );
}

/** One step back, or to the schema asked for. @throws Problem as `migrateData` */
export function downCommand(options: MigrateOptions): void {
  migrate(options, (from) => {
    const asked = schemaOf(options, { least: 1, most: from });
    if (asked !== undefined) return asked;
    if (from > 1) return from - 1;
    throw new Problem("usage", "Schema 1 is the first one: there is nothing to go back to.");
  });
}

function migrate({ json }: MigrateOptions, target: (from: number) => number): void {
  const { from, to, backup = null } = migrateData(parseConfig(process.env).dataDir, target);
  if (json) printResult(JSON.stringify({ from, to, backup }));
  else if (to === 0) printResult("There is no data yet.");
  else if (from === to) printResult(`The data has schema ${to} already.`);
  else
    printResult(
      `The data went from schema ${from} to schema ${to}. A copy from before is ${backup}.`,
    );
}

function schemaOf(
  { to }: MigrateOptions,
  { least, most }: { least: number; most: number },
): number | undefined {
  if (to === undefined) return undefined;
  const schema = Number(to);
  if (Number.isInteger(schema) && schema >= least && schema <= most) return schema;
  throw new Problem("usage", `--to must be a whole number from ${least} to ${most}.`);
}
