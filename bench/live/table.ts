import type { Figure, LiveResult } from "./results.ts";

const shown = ({ median, min, max }: Figure): string => `${median} (${min}..${max})`;

/** Prints a result: what was measured, then what must hold. */
export function printTables(result: LiveResult): void {
  for (const rows of [result.fan_out, result.storm, result.idle, result.match, result.bars]) {
    if (rows.length > 0) console.table(rows.map(flat));
  }
}

/** A row with its figures as text. */
function flat(row: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]: [string, unknown]) => [
      name,
      isFigure(value) ? shown(value) : value,
    ]),
  );
}

function isFigure(value: unknown): value is Figure {
  return typeof value === "object" && value !== null && "median" in value;
}
