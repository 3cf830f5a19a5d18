/** How a setting is read: the text of the environment in, a value or a sentence that says what is wrong out. */
export type Reading<T> = { ok: true; value: T } | { ok: false; message: string };

export interface Setting<T> {
  /** Environment names, the canonical one first. */
  names: readonly [string, ...string[]];
  /** The default as it would be written in the environment. */
  fallback: string;
  /** What it may be, for the docs. */
  accepts: string;
  /** What it does, one sentence or two. */
  docs: string;
  /** The value for production and a remark, where they differ from the default. */
  production?: { value: string; remark: string };
  read: (text: string) => Reading<T>;
}

/** One of some words, whatever its case; `aliases` are other words for them. */
export function choice<T extends string>(
  choices: readonly T[],
  aliases: Readonly<Record<string, string>> = {},
) {
  return (text: string): Reading<T> => {
    const lower = text.toLowerCase();
    const wanted = aliases[lower] ?? lower;
    const found = choices.find((one) => one.toLowerCase() === wanted);
    if (found !== undefined) return { ok: true, value: found };
    return { ok: false, message: `must be one of ${choices.join(", ")}` };
  };
}

/** A whole number, both bounds included. */
export function integer(min: number, max: number) {
  return (text: string): Reading<number> => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= min && value <= max) return { ok: true, value };
    return { ok: false, message: `must be a whole number from ${min} to ${max}` };
  };
}

/** Any text but none. */
export function nonEmpty(text: string): Reading<string> {
  if (text.trim() === "" || text.includes("\0")) return { ok: false, message: "must not be empty" };
  return { ok: true, value: text };
}

/** `auto` is undefined: the machine decides. */
export function enginesReading(text: string): Reading<number | undefined> {
  if (text.toLowerCase() === "auto") return { ok: true, value: undefined };
  const count = integer(0, 64)(text);
  return count.ok ? count : { ok: false, message: "must be auto or a whole number from 0 to 64" };
}

/** Origins as browsers send them, or `*`. */
export function origins(text: string): Reading<readonly string[]> {
  const value = text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
  const good = value.every(
    (one) => one === "*" || (URL.canParse(one) && new URL(one).origin === one),
  );
  if (good) return { ok: true, value };
  return { ok: false, message: "must be origins such as https://app.example.com, or *" };
}

/** Keeps the type of a setting that stands in a table. */
export function setting<T>(one: Setting<T>): Setting<T> {
  return one;
}

/** A text, or undefined where there is none. */
export function optional(text: string): Reading<string | undefined> {
  return text === "" ? { ok: true, value: undefined } : nonEmpty(text);
}
