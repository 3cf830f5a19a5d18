/** The value of some work, or undefined where it takes longer than that; the work itself goes on. @throws what it throws in time */
export async function valueWithin<T>(
  milliseconds: number,
  work: Promise<T>,
): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), milliseconds);
  // What fails later is nobody's to hear.
  work.catch(() => {});
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether some work ended in time, well or not. */
export async function endsWithin(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  const ended = work.then(
    () => true,
    () => true,
  );
  return (await valueWithin(milliseconds, ended)) === true;
}
