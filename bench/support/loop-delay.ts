/**
 * Preloaded into a server: the longest turn of its event loop, in milliseconds, is written to `LOOP_DELAY_FILE` at each
 * SIGUSR2, and counting begins anew.
 */
import { writeFileSync } from "node:fs";

const everyMs = 2;
const file = process.env["LOOP_DELAY_FILE"] ?? "";
let longestMs = 0;
let last = performance.now();
const timer = setInterval(() => {
  const now = performance.now();
  longestMs = Math.max(longestMs, now - last - everyMs);
  last = now;
}, everyMs);
timer.unref();
process.on("SIGUSR2", () => {
  writeFileSync(file, JSON.stringify(longestMs));
  longestMs = 0;
});
