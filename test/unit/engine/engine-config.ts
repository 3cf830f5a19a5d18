import { parseConfig, type Config } from "../../../src/config.ts";

/** Settings of engines in children: exact search, which is plain TypeScript, and no log lines. */
export function engineConfig(dataDir: string): Config {
  return parseConfig({
    DATA_DIR: dataDir,
    VECTOR_INDEX: "exact",
    EMBEDDING_MODEL_NAME: "static-256",
    LOG_FORMAT: "json",
    LOG_LEVEL: "critical",
  });
}

/** Rejects after that time: what is raced against it has to come sooner. */
export async function timeout(ms: number): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  setTimeout(() => reject(new Error(`nothing happened in ${ms} ms`)), ms).unref();
  return promise;
}
