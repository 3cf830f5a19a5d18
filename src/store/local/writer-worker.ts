import { toFailure } from "../../failure.ts";
import type { Commit } from "../store.ts";
import { LocalStore } from "./local-store.ts";
import { unpackWrites } from "./packed-writes.ts";
import type { TellEvent } from "./store-events.ts";
import {
  type FromWriter,
  type ToWriter,
  type WriterAnswer,
  type WriterCall,
  type WriterOptions,
} from "./writer-messages.ts";

// The code of the thread that writes: it has the one write connection and does what it is told by messages.

declare const self: Worker;

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a Worker's has none, a window's does
const post = (message: FromWriter<unknown>): void => self.postMessage(message);

/** What the next message tells. */
let commits: Commit[] = [];
let answers: WriterAnswer<unknown>[] = [];
const running = new Set<Promise<void>>();
let opened: LocalStore | undefined;

self.addEventListener("message", ({ data }: MessageEvent<ToWriter<never>>): void => {
  switch (data.kind) {
    case "open":
      void open(data.folder, data.options);
      break;
    case "calls":
      for (const call of data.calls) start(call);
      break;
    case "packed":
      for (const call of unpackWrites(data)) start(call);
      break;
    case "close":
      void close();
      break;
    default:
      data satisfies never;
  }
});

async function open(folder: string, options: WriterOptions): Promise<void> {
  try {
    const tell: TellEvent = (event) => post({ kind: "event", event });
    const store = await LocalStore.open(folder, { ...options, tell });
    store.onCommit((commit) => commits.push(commit));
    opened = store;
    post({ kind: "opened" });
  } catch (error) {
    post({ kind: "refused", failure: toFailure(error) });
  }
}

function start(call: WriterCall<never>): void {
  const promise = answer(call);
  running.add(promise);
  void promise.finally(() => running.delete(promise));
}

async function answer({ id, method, values }: WriterCall<never>): Promise<void> {
  try {
    if (opened === undefined) throw new Error("the store is not open");
    const call: (...values: readonly never[]) => Promise<unknown> = opened[method];
    tellSoon({ id, ok: true, value: await call(...values) });
  } catch (error) {
    tellSoon({ id, ok: false, failure: toFailure(error) });
  }
}

/** The promises of one COMMIT settle in one turn; their answers are sent after the last of them. */
function tellSoon(one: WriterAnswer<unknown>): void {
  if (answers.length === 0) queueMicrotask(sendAnswers);
  answers.push(one);
}

function sendAnswers(): void {
  post({ kind: "answers", commits, answers, transactions: opened?.transactions ?? 0 });
  commits = [];
  answers = [];
}

async function close(): Promise<void> {
  try {
    await opened?.[Symbol.asyncDispose]();
    await Promise.all(running);
    post({ kind: "closed" });
  } catch (error) {
    post({ kind: "closed", failure: toFailure(error) });
  }
}
