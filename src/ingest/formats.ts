import { extname } from "node:path";

/** How a file is read. */
export type FileFormat = "markdown" | "text" | "html" | "jsonl" | "csv";

const FORMAT_BY_ENDING: Readonly<Record<string, FileFormat>> = {
  ".md": "markdown",
  ".markdown": "markdown",
  ".txt": "text",
  ".text": "text",
  ".html": "html",
  ".htm": "html",
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".csv": "csv",
};

/** The endings that can be read, for messages: `.md, .markdown, …`. */
export const readableEndings = Object.keys(FORMAT_BY_ENDING).join(", ");

/** Format by the ending of a path, upper or lower case; undefined where no reader knows it. */
export function formatOf(path: string): FileFormat | undefined {
  return FORMAT_BY_ENDING[extname(path).toLowerCase()];
}
