/**
 * Calls what the caller of this package gave. What it throws is an uncaught error of the caller's, as from any listener,
 * and stops nothing here: the connection, the other handlers and the other subscriptions go on.
 */
export function callHandler(
  call: () => void,
  later: (work: () => void) => void = queueMicrotask,
): void {
  try {
    call();
  } catch (error) {
    later(() => {
      throw error;
    });
  }
}
