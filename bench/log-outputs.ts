/**
 * What a request feels of a log that cannot be written: the same requests, one after the other and in turns, to servers
 * whose output is read, is not read, has nobody at its other end, and goes to a full disk. `bun bench/log-outputs.ts
 * [--json FILE]`. It fails where the median of one is more than twice that of the first, or no lost line was counted.
 */
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { machineFacts, rounded } from "./support/load-results.ts";
import { median } from "./support/median.ts";
import { startServer } from "./support/server.ts";

const ROUNDS = 12;
const PER_ROUND = 500;
const MOST = 2;
/** More than a pipe and the server's own buffer hold. */
const FILL = 80_000;

const { values } = parseArgs({ options: { json: { type: "string" } } });
await using stack = new AsyncDisposableStack();
const folder = mkdtempSync(join(tmpdir(), "slipstream-logs-"));
stack.defer(() => rmSync(folder, { recursive: true, force: true }));

/** A named pipe, both ends open here: `reader` may be read, left alone or closed. */
function openPipe(name: string): { reader: number; writer: number } {
  const path = join(folder, name);
  Bun.spawnSync(["mkfifo", path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openSync(path, constants.O_WRONLY) };
}

/** Takes what is there, so that the pipe never fills. */
function drain(reader: number): void {
  const bytes = Buffer.alloc(1 << 20);
  try {
    while (readSync(reader, bytes) > 0);
  } catch {
    // Nothing more is there now.
  }
}

const LOGGED = { ENGINES: "0", LOG_LEVEL: "info", LOG_FORMAT: "json" };

async function start(name: string, settings: Record<string, string>, pipe?: { writer: number }) {
  const server = stack.use(
    await startServer({
      settings: { ...LOGGED, ...settings },
      ...(pipe === undefined ? {} : { stdout: pipe.writer }),
    }),
  );
  if (pipe !== undefined) closeSync(pipe.writer);
  return {
    name,
    url: `${server.url}/version`,
    metrics: `${server.url}/metrics`,
    us: [] as number[],
  };
}

const read = openPipe("read");
const stalled = openPipe("stalled");
const closed = openPipe("closed");
const reading = setInterval(() => drain(read.reader), 5);
stack.defer(() => clearInterval(reading));
// A link: a log file may be renamed, and the device must not be.
const full = join(folder, "full.log");
symlinkSync("/dev/full", full);
const servers = [
  await start("read", {}, read),
  await start("nobody reads", {}, stalled),
  await start("closed", {}, closed),
  await start("full disk", { LOG_FILE: full }),
];
closeSync(closed.reader);

async function ask(url: string): Promise<number> {
  const startMs = performance.now();
  const response = await fetch(url);
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
  return (performance.now() - startMs) * 1000;
}

// Until the pipe that nobody reads, and the buffer behind it, are full.
const [, unread] = servers;
if (unread !== undefined)
  for (let n = 0; n < FILL / 2; n += 64)
    await Promise.all(Array.from({ length: 64 }, () => ask(unread.url)));
for (const { url } of servers) for (let n = 0; n < PER_ROUND; n++) await ask(url);
for (let round = 0; round < ROUNDS; round++) {
  for (const server of servers) {
    for (let n = 0; n < PER_ROUND; n++) server.us.push(await ask(server.url));
  }
}

async function droppedOf(url: string): Promise<number> {
  const text = await (await fetch(url)).text();
  return Number(/^log_lines_dropped_total (\d+)/m.exec(text)?.[1] ?? Number.NaN);
}

const [first] = servers;
const base = median(first?.us ?? []);
const rows = await Promise.all(
  servers.map(async ({ name, us, metrics }) => ({
    output: name,
    p50_us: rounded(median(us), 0),
    p99_us: rounded(us.toSorted((a, b) => a - b)[Math.floor(us.length * 0.99)] ?? Number.NaN, 0),
    in_read: rounded(median(us) / base, 2),
    lines_dropped: await droppedOf(metrics),
  })),
);
console.table(rows);
const path = values.json ?? "bench/results/log-outputs.json";
await Bun.write(path, `${JSON.stringify({ machine: machineFacts(), rows }, undefined, 2)}\n`);
const missed = rows.filter(
  ({ output, in_read, lines_dropped }) =>
    in_read > MOST || (output !== "read" && !(lines_dropped > 0)),
);
console.log(
  missed.length === 0 ? "held" : `missed: ${missed.map(({ output }) => output).join(", ")}`,
);
process.exitCode = missed.length === 0 ? 0 : 1;
