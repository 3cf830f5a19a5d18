/** One part of a start. */
export interface Step {
  name: string;
  /** Milliseconds since the process began. */
  start_ms: number;
  duration_ms: number;
}

/** What a start took its time for; steps may overlap. */
export interface Timeline {
  readonly steps: readonly Step[];
  /** Times some work, from now on or from `start`, and gives its value. */
  step<T>(name: string, work: Promise<T>, start?: number): Promise<T>;
}

export function createTimeline(): Timeline {
  const steps: Step[] = [];
  return {
    steps,
    async step(name, work, start = performance.now()) {
      const value = await work;
      const duration_ms = round(performance.now() - start);
      steps.push({ name, start_ms: round(start), duration_ms });
      return value;
    },
  };
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}
