/** Runs work when all that was given before has ended, however that ended. */
export type Serial = <T>(work: () => Promise<T>) => Promise<T>;

export function createSerial(): Serial {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const promise = last.then(work);
    last = promise.catch(() => undefined);
    return promise;
  };
}
