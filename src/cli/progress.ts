import { draw } from "./output.ts";

const WIDTH = 24;
const REDRAW_MS = 100;

/**
 * A progress bar on stderr with rate and time left; nothing where stderr is no terminal. `done` and `total` are in the
 * same unit; the rate is `count`, in things that a person counts, over the time since the bar began.
 */
export class ProgressBar implements Disposable {
  readonly #label: string;
  readonly #unit: string;
  readonly #shown: boolean;
  readonly #startMs = performance.now();
  #drawnMs = -Infinity;

  constructor(label: string, unit: string, shown: boolean) {
    this.#label = label;
    this.#unit = unit;
    this.#shown = shown;
  }

  update({ done, total, count }: { done: number; total: number; count: number }): void {
    const now = performance.now();
    if (!this.#shown || now - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = now;
    const seconds = (now - this.#startMs) / 1000;
    draw(`\r\x1b[K${progressLine(this.#label, this.#unit, { done, total, count, seconds })}`);
  }

  [Symbol.dispose](): void {
    if (this.#shown && this.#drawnMs > 0) draw("\r\x1b[K");
  }
}

/** One line of a bar. */
export function progressLine(
  label: string,
  unit: string,
  { done, total, count, seconds }: { done: number; total: number; count: number; seconds: number },
): string {
  const share = total > 0 ? Math.min(1, done / total) : 0;
  const full = Math.round(share * WIDTH);
  const bar = "█".repeat(full) + "░".repeat(WIDTH - full);
  const rate = seconds > 0 ? count / seconds : 0;
  const left = share > 0 ? (seconds * (1 - share)) / share : Infinity;
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `${label} ${bar} ${percent} % · ${count.toLocaleString("en")} ${unit} · ${formatRate(rate)}/s · ${formatLeft(left)}`;
}

function formatRate(rate: number): string {
  return rate >= 10 ? Math.round(rate).toLocaleString("en") : rate.toFixed(1);
}

function formatLeft(left: number): string {
  if (!Number.isFinite(left)) return "time left unknown";
  const seconds = Math.ceil(left);
  if (seconds < 60) return `${seconds} s left`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s left`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}
