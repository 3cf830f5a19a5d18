import type { LoadReport } from "./load.ts";
import { rounded } from "./load-results.ts";
import { median } from "./median.ts";

/** Medians over rounds. */
export interface RoundMedians {
  per_second: number;
  p50_us: number;
  p99_us: number;
  /** Spread of the rounds: the interquartile range of `per_second` in its median. */
  spread: number;
}

/** What one round gives. */
export type RoundReport = Pick<LoadReport, "perSecond" | "p50Us" | "p99Us">;

/** Something that takes part in every round, with the reports of its rounds. */
export interface Turn {
  run: () => Promise<RoundReport>;
  reports: RoundReport[];
}

export function turn(run: () => Promise<RoundReport>): Turn {
  return { run, reports: [] };
}

/** Runs each of them once a round; every second round in the opposite order, so that none is always first. */
export async function takeTurns(turns: readonly Turn[], rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const one of round % 2 === 0 ? turns : turns.toReversed()) {
      one.reports.push(await one.run());
    }
  }
}

export function mediansOf(reports: readonly RoundReport[]): RoundMedians {
  const rates = reports.map((one) => one.perSecond).toSorted((a, b) => a - b);
  const at = (share: number): number => rates[Math.round(share * (rates.length - 1))] ?? 0;
  return {
    per_second: rounded(median(rates), 1),
    p50_us: rounded(median(reports.map((one) => one.p50Us)), 0),
    p99_us: rounded(median(reports.map((one) => one.p99Us)), 0),
    spread: rounded((at(0.75) - at(0.25)) / median(rates), 3),
  };
}

/**
 * How one of them compares with another, round by round, and of that the median: what else the machine does in a round
 * meets both. The reports of both are in the order of the rounds.
 */
export function ratioOf(
  own: readonly RoundReport[],
  base: readonly RoundReport[],
  figure: keyof RoundReport,
): number {
  const each = own.map((report, round) => report[figure] / (base[round]?.[figure] ?? Number.NaN));
  return rounded(median(each), 3);
}
