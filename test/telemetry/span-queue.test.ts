import { describe, expect, test } from "bun:test";
import { encodeUtf8 } from "../../src/lib/text.ts";
import { limits } from "../../src/limits.ts";
import type { SpanFormat } from "../../src/telemetry/light-spans.ts";
import { createSpanQueue, type SpanQueue } from "../../src/telemetry/span-queue.ts";

const NUMBERS: SpanFormat<number> = {
  begin: encodeUtf8("["),
  write: (number, text) => text.text(String(number)),
  end: encodeUtf8("]"),
};

const textOf = (body: string | Uint8Array): string =>
  typeof body === "string" ? body : new TextDecoder().decode(body);

describe("a queue of spans", () => {
  test("sends batches in order, one at a time, and loses what is past its bound", async () => {
    const sent: number[][] = [];
    const held = Promise.withResolvers<void>();
    let lost = 0;
    let together = 0;
    const queue = createSpanQueue<number>(
      {
        lose: (count) => void (lost += count),
        async send(count, body) {
          expect(++together).toBe(1);
          sent.push(JSON.parse(textOf(body())));
          expect(sent.at(-1)).toHaveLength(count);
          await held.promise;
          together--;
        },
      },
      NUMBERS,
    );
    const total = limits.traceSpansQueuedMax + 600;
    for (let at = 0; at < total; at++) queue.push(at);
    held.resolve();
    await queue.flush();
    expect(sent[0]).toHaveLength(512);
    const numbers = sent.flat();
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, at) => at));
    expect(numbers.length + lost).toBe(total);
    expect(lost).toBe(total - 512 - limits.traceSpansQueuedMax);
    queue.push(-1);
    await queue.flush();
    expect(sent.at(-1)).toEqual([-1]);
  });
});

/** A queue of numbers, with the sizes of its batches. `whileSending` is called in each sending. */
function countingQueue(whileSending: (queue: SpanQueue<number>, sent: number) => void = () => {}) {
  const sizes: number[] = [];
  const queue = createSpanQueue<number>(
    {
      lose: () => {},
      async send(count, body) {
        expect(JSON.parse(textOf(body()))).toHaveLength(count);
        sizes.push(count);
        whileSending(queue, sizes.length);
      },
    },
    NUMBERS,
  );
  return { queue, sizes };
}

test("spans that come while a batch is sent wait for others, and do not go out by themselves", async () => {
  const { queue, sizes } = countingQueue((own, sent) => {
    if (sent < 10) own.push(0);
  });
  queue.push(0);
  await queue.flush();
  expect(sizes).toEqual([1]);
});

test("a flush leaves nothing behind, at whichever moment of a sending it comes", async () => {
  for (let turns = 0; turns < 12; turns++) {
    const { queue, sizes } = countingQueue();
    queue.push(0);
    const first = queue.flush();
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    queue.push(0);
    await queue.flush();
    expect([turns, ...sizes]).toEqual([turns, 1, 1]);
    await first;
  }
});

test("a batch of long spans is closed by its bytes, and no more batches wait than may", async () => {
  const sizes: number[] = [];
  let lost = 0;
  const held = Promise.withResolvers<void>();
  const long = "x".repeat(100_000);
  const queue = createSpanQueue<string>(
    {
      lose: (count) => void (lost += count),
      async send(count, body) {
        expect(JSON.parse(textOf(body()))).toEqual(Array.from({ length: count }, () => long));
        sizes.push(count);
        await held.promise;
      },
    },
    {
      begin: encodeUtf8("["),
      write: (word, text) => text.text(JSON.stringify(word)),
      end: encodeUtf8("]"),
    },
  );
  for (let count = 0; count < 40; count++) queue.push(long);
  held.resolve();
  await queue.flush();
  // The one that was being sent, and four that waited.
  expect(sizes).toEqual([4, 4, 4, 4, 4]);
  expect(lost).toBe(20);
});
