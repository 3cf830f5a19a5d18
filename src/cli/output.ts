/**
 * The one place that writes to the terminal: results to stdout, everything said to a person to stderr. Writes are
 * synchronous so that nothing is lost when the process ends.
 */
import { writeSync } from "node:fs";

/** The ways to write to two descriptors. */
export const createOutput = (stdout: number, stderr: number) => ({
  /** A line of results. */
  printResult: (line: string): void => write(stdout, `${line}\n`),
  /** A line for the person who runs the command. */
  say: (line: string): void => write(stderr, `${line}\n`),
  /** Text as it is, for a progress bar that draws over itself. */
  draw: (text: string): void => write(stderr, text),
});

export const { printResult, say, draw } = createOutput(1, 2);

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
