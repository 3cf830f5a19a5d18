// The Worker of a WriterStore that can be made to fail: it dies of an error of its own when it hears of a document of
// this id, while everything else goes its way.
import "../../../src/store/local/writer-worker.ts";

export const DEADLY_ID = "deadly";

declare const self: Worker;

self.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
  if (JSON.stringify(data).includes(DEADLY_ID)) throw new Error("a fault in the Worker");
});
