// The matcher's Worker, which dies of an error of its own when it has told a part of what a document matches; once only.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import "../../../src/standing-queries/matcher-worker.ts";

declare const self: Worker;

let marker = "";
let dead = false;

self.addEventListener("message", ({ data }: MessageEvent<{ kind: string; folder: string }>) => {
  if (data.kind === "open") marker = join(data.folder, "told-a-part");
});

const post = self.postMessage.bind(self);
self.postMessage = (message: { kind: string; matches?: readonly unknown[] }): void => {
  // What it does between its fault and its end is heard by nobody.
  if (dead) return;
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a Worker's has none, a window's does
  post(message);
  if (message.kind !== "told" || message.matches?.length === 0 || existsSync(marker)) return;
  dead = true;
  writeFileSync(marker, "");
  queueMicrotask(() => {
    throw new Error("a fault in the matcher");
  });
};
