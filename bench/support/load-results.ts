import { availableParallelism, cpus, loadavg } from "node:os";

/** Where a result was taken. */
export function machineFacts(): Record<string, string | number> {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    platform: `${process.platform} ${process.arch}`,
    bun: Bun.version,
  };
}

/** The same, and how busy that machine was with other work when it began. */
export function describeMachine(): Record<string, string | number> {
  return {
    ...machineFacts(),
    load_average_before: rounded(loadavg()[0] ?? 0, 2),
    date: new Date().toISOString().slice(0, 10),
  };
}

/** Writes a result as one part of a file, `full` or `quick`; the other part stays as it is. */
export async function keepPart(path: string, quick: boolean, result: object): Promise<void> {
  const file = Bun.file(path);
  const before: object = (await file.exists()) ? await file.json() : {};
  const parts = { ...before, [quick ? "quick" : "full"]: result };
  await Bun.write(file, `${JSON.stringify(parts, null, 2)}\n`);
}

export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
