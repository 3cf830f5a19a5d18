import { expect, test } from "bun:test";
import { publishTo, readRoom, type LiveReader } from "../support/live-reader.ts";
import { eventually, startServerProgram, type ServerProgram } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";
import { seededRandom } from "./distinct-documents.ts";

const TEST_MS_MAX = 180_000;
const SEED = 61_171;
const READERS = 200;
const DROPS_EACH = 5;
const PER_SECOND = 500;
const SECONDS = 12;
const TICK_MS = 20;
/** Between two tries of a message while the server is away. */
const RETRY_MS = 100;
/** When the server is stopped by a signal and when it is killed, in messages published so far. */
const RESTART_AT = 2000;
const KILL_AT = 4000;

/** A server that can be started again at the same address. */
interface Restarting extends AsyncDisposable {
  url(): string;
  restart(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
}

async function startRestarting(cwd: string): Promise<Restarting> {
  const env = { LOG_LEVEL: "error", ENGINES: "0" };
  let server: ServerProgram = await startServerProgram("db", { cwd, env });
  const url = server.url;
  const { port } = new URL(url);
  return {
    url: () => url,
    async restart(signal) {
      server.signal(signal);
      await server.exited;
      server = await startServerProgram("db", { cwd, env: { ...env, PORT: port } });
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** By default a room keeps two seconds of messages at this pace: a start on a busy machine takes longer. */
async function keepAll(url: string): Promise<void> {
  const response = await fetch(`${url}/api/v1/rooms/news`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ history_messages: 2 * PER_SECOND * SECONDS }),
  });
  expect(response.status).toBe(200);
}

/** Publishes a number until it is acknowledged. The key makes it one message however often it is sent. */
async function publish(url: string, number: number): Promise<number> {
  const once = async (): Promise<number | undefined> => {
    try {
      const response = await publishTo(url, "news", { data: number, key: `k${number}` });
      const answer: unknown = await response.json();
      if (response.status !== 201 && response.status !== 200) return undefined;
      if (typeof answer !== "object" || answer === null || !("offset" in answer)) return undefined;
      return Number(answer.offset);
    } catch {
      // The server is away.
      return undefined;
    }
  };
  return eventually(`message ${number} is acknowledged`, once, { everyMs: RETRY_MS });
}

/** Publishes numbers from 0 at a rate, acknowledged or not; resolves with the offset of each. */
async function publishAll(url: string, onPublished: (count: number) => void): Promise<number[]> {
  const total = PER_SECOND * SECONDS;
  const perTick = (PER_SECOND * TICK_MS) / 1000;
  const offsets: Promise<number>[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setInterval(() => {
    for (let n = 0; n < perTick && offsets.length < total; n++)
      offsets.push(publish(url, offsets.length));
    onPublished(offsets.length);
    if (offsets.length >= total) resolve();
  }, TICK_MS);
  await promise;
  clearInterval(timer);
  return Promise.all(offsets);
}

/** At what count of published messages a reader is dropped. */
function dropPoints(random: () => number): number[] {
  const latest = PER_SECOND * (SECONDS - 2);
  return Array.from({ length: DROPS_EACH }, () => Math.floor(random() * latest));
}

function isIncreasing(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0));
}

test(
  `${READERS} readers, ${DROPS_EACH} drops each, a restart and a kill -9 among ${PER_SECOND} messages a second: every acknowledged message comes once and in order (seed ${SEED})`,
  async () => {
    using dir = tempDir();
    await using server = await startRestarting(dir.path);
    const random = seededRandom(SEED);
    await keepAll(server.url());
    // The first message makes the room, so that every reader has a position to come back to.
    expect(await publish(server.url(), -1)).toBe(1);
    const readers = Array.from({ length: READERS }, () => ({
      reader: readRoom(() => server.url(), "news"),
      drops: dropPoints(random),
    }));
    await eventually("all are subscribed", () =>
      readers.every(({ reader }) => reader.heard.has("subscribed")) ? true : undefined,
    );
    const restarts: Promise<void>[] = [];
    const offsets = await publishAll(server.url(), (count) => {
      for (const { reader, drops } of readers) {
        const due = drops.findIndex((at) => at <= count);
        // One that is not connected just now is dropped when it is.
        if (due >= 0 && reader.drop()) drops.splice(due, 1);
      }
      if (restarts.length === 0 && count >= RESTART_AT) restarts.push(server.restart("SIGTERM"));
      if (restarts.length === 1 && count >= KILL_AT) {
        const first = restarts[0];
        restarts.push(Promise.resolve(first).then(() => server.restart("SIGKILL")));
      }
    });
    await Promise.all(restarts);
    const head = Math.max(...offsets);
    await eventually("every reader is at the head", () =>
      readers.every(({ reader }) => reader.offset >= head) ? true : undefined,
    );

    // The offset of a number says where each reader must have it.
    const byOffset = offsets
      .map((offset, number) => ({ offset, number }))
      .toSorted((a, b) => a.offset - b.offset);
    expect(isIncreasing(byOffset.map(({ offset }) => offset))).toBe(true);
    const expected = byOffset.map(({ number }) => number);
    for (const { reader } of readers) {
      reader.end();
      expectAll(reader, expected);
    }
  },
  TEST_MS_MAX,
);

function expectAll(reader: LiveReader, expected: readonly number[]): void {
  expect(reader.holes).toEqual([]);
  expect(reader.resumes.length).toBeGreaterThanOrEqual(DROPS_EACH);
  expect(reader.resumes.filter(({ recovered }) => !recovered)).toEqual([]);
  expect(reader.received).toEqual([...expected]);
}
