import { limits } from "../limits.ts";
import type { ParsedText } from "./document.ts";

/** Values in a front matter, lists and maps counted with what they hold; real ones have a few dozen. */
const FRONT_MATTER_NODES_MAX = 1000;

/**
 * Markdown as it is written, with its front matter taken off and given as metadata. The title is the front matter's
 * `title`, else the first heading of level 1. Line ends are `\n`.
 *
 * A front matter is a YAML map between a first line `---` and a line `---` or `...`, at most
 * `limits.metadataBytesMax` long. What does not parse as one (a text that begins with a rule, say) stays in the text.
 */
export function parseMarkdown(markdown: string): ParsedText {
  const front = frontMatter(markdown);
  const { title: named, ...metadata } = front?.fields ?? {};
  const text = front === undefined ? markdown : markdown.slice(front.end).replace(/^\s*\n/, "");
  const title = titleOf(named) ?? plain(firstHeading(text));
  return { ...(title !== undefined && { title }), text, metadata };
}

/**
 * The first heading of level 1 as it is written, `# Heading` or one line underlined with `=`; headings in fenced code do
 * not count (CommonMark 0.31, sections 4.2, 4.3 and 4.5). O(length).
 */
export function firstHeading(markdown: string): string | undefined {
  let fence = "";
  // The line before, if it is the only one of its paragraph so far: what an underline would make a heading of.
  let alone = "";
  let isBlankBefore = true;
  for (const [line] of markdown.matchAll(/^.*$/gm)) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== "") {
      if (mark?.startsWith(fence) === true && line.trim() === mark) fence = "";
      continue;
    }
    if (mark !== undefined) fence = mark;
    if (alone !== "" && /^ {0,3}=+[ \t]*$/.test(line)) return alone;
    const heading = mark === undefined ? atxHeading(line) : "";
    if (heading !== "") return heading;
    alone = isBlankBefore && mark === undefined ? line.trim() : "";
    isBlankBefore = line.trim() === "" || fence !== "";
  }
  return undefined;
}

function atxHeading(line: string): string {
  if (!/^ {0,3}#[ \t]/.test(line)) return "";
  const words = line
    .trim()
    .slice(1)
    .replace(/[ \t]#+$/, "")
    .trim();
  return /^#+$/.test(words) ? "" : words;
}

function titleOf(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}

/** A heading without its inline marks: the words of links and images, no asterisks. */
function plain(heading: string | undefined): string | undefined {
  const words = heading === undefined ? "" : Bun.markdown.render(heading, {}).trim();
  return words === "" ? heading : words;
}

function frontMatter(text: string): { fields: Record<string, unknown>; end: number } | undefined {
  const opener = /^---[ \t]*\n/.exec(text)?.[0];
  if (opener === undefined) return undefined;
  // From the newline of the opener on, so that an empty front matter has its closing line too.
  const start = opener.length - 1;
  const window = text.slice(start, start + limits.metadataBytesMax);
  const closer = /\n(?:---|\.\.\.)[ \t]*(?:\n|$)/.exec(window);
  if (closer === null) return undefined;
  const fields = parseYamlMap(window.slice(0, closer.index));
  return fields && { fields, end: start + closer.index + closer[0].length };
}

function parseYamlMap(yaml: string): Record<string, unknown> | undefined {
  const value = parseYaml(yaml);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  if (!isPlainData(value)) return undefined;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

function parseYaml(yaml: string): unknown {
  if (yaml.trim() === "") return {};
  try {
    return Bun.YAML.parse(yaml);
  } catch {
    // Not YAML, or nested past the parser's stack: both mean that this is text.
    return undefined;
  }
}

/** True if JSON can hold the value, within a bound: aliases make YAML a graph, which may be endless when walked. */
function isPlainData(value: unknown): boolean {
  const pending = [value];
  for (let count = 0; pending.length > 0; count++) {
    const node = pending.pop();
    if (count >= FRONT_MATTER_NODES_MAX) return false;
    if (typeof node === "number" && !Number.isFinite(node)) return false;
    if (typeof node === "object" && node !== null) pending.push(...Object.values(node));
  }
  return true;
}
