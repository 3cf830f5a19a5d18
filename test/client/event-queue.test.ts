import { expect, test } from "bun:test";
import { SlipstreamError } from "../../client/src/error.ts";
import { EventQueue } from "../../client/src/event-queue.ts";

function queueOf(eventsMax: number) {
  const told = { room: 0, returned: 0 };
  const queue = new EventQueue<number>({
    eventsMax,
    onRoom: () => void told.room++,
    onReturn: () => void told.returned++,
  });
  return { queue, told };
}

test("events are read in order, whether they wait for the reader or it for them", async () => {
  const { queue } = queueOf(10);
  queue.push(1);
  queue.push(2);
  const third = [queue.next(), queue.next(), queue.next(), queue.next()];
  queue.push(3);
  queue.end(undefined);
  expect(await Promise.all(third)).toEqual([
    { done: false, value: 1 },
    { done: false, value: 2 },
    { done: false, value: 3 },
    { done: true, value: undefined },
  ]);
});

test("a full queue says so, and says that there is room when half of it is read", async () => {
  const { queue, told } = queueOf(4);
  for (const n of [1, 2, 3]) queue.push(n);
  expect(queue.full).toBe(false);
  queue.push(4);
  expect(queue.full).toBe(true);
  await queue.next();
  expect(told.room).toBe(0);
  await queue.next();
  expect(told.room).toBe(1);
  await queue.next();
  expect(told.room).toBe(1);
});

test("an error is thrown once, after what came before it", async () => {
  const { queue } = queueOf(4);
  queue.push(1);
  queue.end(new SlipstreamError("forbidden", "no"));
  queue.push(2);
  expect((await queue.next()).value).toBe(1);
  expect(queue.next()).rejects.toThrow("forbidden");
  expect((await queue.next()).done).toBe(true);
});

test("a reader that waits is told of an error", () => {
  const { queue } = queueOf(4);
  const waiting = queue.next();
  queue.end(new SlipstreamError("closed", "over"));
  expect(waiting).rejects.toThrow("closed");
});

test("leaving a loop gives the queue back", async () => {
  const { queue, told } = queueOf(4);
  queue.push(1);
  queue.push(2);
  for await (const event of queue) {
    expect(event).toBe(1);
    break;
  }
  expect(told.returned).toBe(1);
  expect((await queue.next()).done).toBe(true);
});
