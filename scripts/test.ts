/** Runs the tests with coverage and ends with the one line that a person or a CI looks for: `N passed, N failed`. */
import { spawn } from "bun";

/** A loaded machine is several times slower than a quiet one; a test that hangs ends all the same. */
const TEST_MS_MAX = 30_000;

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
if (code !== 0 && failed === 0)
  console.log(
    "The tests passed and the run did not: coverage is below its floor, or a file did not load.",
  );
if (skipped > 0) console.log(`${skipped} skipped`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(code);
