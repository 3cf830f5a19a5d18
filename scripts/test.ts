/**
 * Runs the tests with coverage and ends with the one line that a person or a CI looks for: `N passed, N failed`.
 * What made a run fail comes right before it, also where no test did: a log's end is what is kept of it.
 */
import { spawn } from "bun";

/** A loaded machine is several times slower than a quiet one; a test that hangs ends all the same. */
const TEST_MS_MAX = 30_000;

/** `coverageThreshold` of bunfig.toml, in percent, which Bun asks of each file. */
const COVERAGE_MIN = 80;

/** Lines of the coverage table below the floor: ` path | % functions | % lines | lines`. */
const belowFloor = (text: string): string[] =>
  text.split("\n").filter((line) => {
    const [path = "", functions, lines] = line.split("|");
    return (
      path.trim().startsWith("src/") && Math.min(Number(functions), Number(lines)) < COVERAGE_MIN
    );
  });

const child = spawn(
  [process.execPath, "test", "--coverage", `--timeout=${TEST_MS_MAX}`, ...process.argv.slice(2)],
  {
    stdio: ["ignore", "inherit", "pipe"],
  },
);
let text = "";
const decoder = new TextDecoder();
for await (const part of child.stderr) {
  process.stderr.write(part);
  text += decoder.decode(part, { stream: true });
}
const code = await child.exited;
const count = (word: string): number =>
  Number(text.match(new RegExp(`^\\s*(\\d+) ${word}$`, "m"))?.[1] ?? 0);
const [passed, failed, skipped] = [count("pass"), count("fail"), count("skip")];
for (const failure of text.match(/^\(fail\).*$/gm) ?? []) console.log(failure);
if (code !== 0 && failed === 0) {
  const low = belowFloor(text);
  console.log(
    low.length > 0
      ? `The tests passed and the run did not: covered less than ${COVERAGE_MIN} %:\n${low.join("\n")}`
      : "The tests passed and the run did not: a file did not load.",
  );
}
if (skipped > 0) console.log(`${skipped} skipped`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(code);
