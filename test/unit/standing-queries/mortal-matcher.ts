// The matcher's Worker, which can be made to fail: it dies of an error of its own when it is given a query with this
// word, while everything else goes its way.
import "../../../src/standing-queries/matcher-worker.ts";

export const DEADLY = "deadly";

declare const self: Worker;

self.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
  if (JSON.stringify(data).includes(DEADLY)) throw new Error("a fault in the matcher");
});
