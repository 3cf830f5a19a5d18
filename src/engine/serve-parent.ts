/** Answers one message of a kind that the parent is known to send. */
type Answering<Request> = (request: Request) => Promise<unknown>;

/**
 * Answers the messages of the process that started this one, until that one goes, however it went: its end of the pipe
 * closes. A terminal's Ctrl-C is the parent's to handle.
 */
export function serveParent<Request>(answer: Answering<Request>): Promise<never> {
  process.on("message", (request: Request) => {
    void answer(request).then((reply) => process.send?.(reply));
  });
  process.on("disconnect", () => process.exit(0));
  process.on("SIGINT", () => {});
  return new Promise<never>(() => {});
}
