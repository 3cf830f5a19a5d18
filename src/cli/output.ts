/**
 * The one place that writes to the terminal: results to stdout, everything said to a person to stderr. Writes are
 * synchronous so that nothing is lost when the process ends.
 */
import { writeSync } from "node:fs";

const STDOUT = 1;
const STDERR = 2;

/** A line of results. */
export function printResult(line: string): void {
  write(STDOUT, `${line}\n`);
}

/** A line for the person who runs the command. */
export function say(line: string): void {
  write(STDERR, `${line}\n`);
}

/** Text as it is, for a progress bar that draws over itself. */
export function draw(text: string): void {
  write(STDERR, text);
}

function write(descriptor: number, text: string): void {
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(descriptor, bytes));
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      // A pipe that is full for now is tried again; a reader that has gone wants no more.
      if (code !== "EAGAIN") return;
    }
  }
}
