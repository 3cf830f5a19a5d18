import { toFailure } from "../failure.ts";
import { limits } from "../limits.ts";
import { LocalReader } from "../store/local/local-reader.ts";
import type { FromMatcher, MatcherMethod, ToMatcher } from "./matcher-messages.ts";
import { Matcher, type ToldPage } from "./matcher.ts";

// The code of the thread that matches: it reads the store by a connection of its own and does what it is told by messages.

declare const self: Worker;

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a Worker's has none, a window's does
const post = (message: FromMatcher<unknown>): void => self.postMessage(message);

let reader: LocalReader | undefined;
let matcher: Matcher | undefined;
/** Characters told that have not been sent on yet, and who waits for them. */
let underWay = 0;
let waiting: (() => void)[] = [];

self.addEventListener("message", ({ data }: MessageEvent<ToMatcher<never>>): void => {
  switch (data.kind) {
    case "open":
      open(data.folder, data.held);
      break;
    case "go":
      matcher?.go(data.lane);
      break;
    case "call":
      void answer(data.id, data.method, data.value);
      break;
    case "remove":
      matcher?.remove(data.hash);
      break;
    case "heard":
      for (const key of data.collectionKeys) matcher?.hear(key);
      break;
    case "taken":
      take(data.characters);
      break;
    case "kept":
      matcher?.kept(data.ticket);
      break;
    case "close":
      void close();
      break;
    default:
      data satisfies never;
  }
});

function open(folder: string, held: readonly string[]): void {
  try {
    reader = LocalReader.open(folder);
    matcher = new Matcher(reader, {
      held,
      tell,
      keep: (ticket, update) => post({ kind: "keep", ticket, update }),
      onFailed: fail,
    });
    post({ kind: "opened" });
  } catch (error) {
    fail(error);
  }
}

async function answer(id: number, method: MatcherMethod, value: never): Promise<void> {
  try {
    if (matcher === undefined) throw new Error("the matcher is not open");
    post({ kind: "answer", id, ok: true, value: await matcher[method](value) });
  } catch (error) {
    post({ kind: "answer", id, ok: false, failure: toFailure(error) });
  }
}

async function tell(told: ToldPage): Promise<void> {
  underWay += told.characters;
  post({ kind: "told", ...told });
  while (underWay > limits.standingToldCharactersMax) {
    await new Promise<void>((resolve) => waiting.push(resolve));
  }
}

function take(characters: number): void {
  underWay -= characters;
  const woken = waiting;
  waiting = [];
  for (const resolve of woken) resolve();
}

function fail(error: unknown): void {
  post({ kind: "failed", failure: toFailure(error) });
}

async function close(): Promise<void> {
  await matcher?.close();
  reader?.[Symbol.dispose]();
  post({ kind: "closed" });
}
