/** How long a piece of background work may go on before others get their turn. */
const STEP_MS = 1;

/** Says whether it is time for a pause; to be asked after each small piece of work. */
export function createPace(): () => boolean {
  let start = performance.now();
  return () => {
    const now = performance.now();
    if (now - start < STEP_MS) return false;
    start = now;
    return true;
  };
}
