/**
 * Gives what waits for its turn to go on: at most so many in each turn of the event loop, in the order in which they
 * asked, however many there are, so that what else there is to do is done in between.
 */
export function createTurns(perTurn: number): () => Promise<void> {
  const waiting: (() => void)[] = [];
  const begin = (): void => {
    for (const goOn of waiting.splice(0, perTurn)) goOn();
    if (waiting.length > 0) setImmediate(begin);
  };
  return () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (waiting.push(resolve) === 1) setImmediate(begin);
    return promise;
  };
}
