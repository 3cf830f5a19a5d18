import type { VerifyReport } from "../contract/maintenance.ts";
import type { Engines } from "../engine/engines.ts";
import type { StoreRead } from "../store/store.ts";

/**
 * Compares the database with itself and every index with the database, key by key. Nothing is changed and nothing
 * waits for it.
 */
export async function verify(
  store: StoreRead,
  engines: Pick<Engines, "check">,
): Promise<VerifyReport> {
  const start = performance.now();
  const problems = await store.check();
  const collections: VerifyReport["collections"] = [];
  for (const collection of await store.collections()) {
    const check = await engines.check(collection);
    // It is being made, or was dropped meanwhile.
    if (check === undefined) continue;
    const { chunks } = await store.counts(collection.key);
    collections.push({ name: collection.name, chunks, ...check });
  }
  const ok = problems.length === 0 && collections.every((one) => one.problems.length === 0);
  const duration_ms = Math.round(performance.now() - start);
  return { ok, database: { problems }, collections, duration_ms };
}
