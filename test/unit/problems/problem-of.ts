import { Problem } from "../../../src/problems.ts";

/** The problem that some work fails with. @throws Error where it does not fail, or fails with anything else */
export async function problemOf(work: () => unknown): Promise<Problem> {
  let error: unknown;
  try {
    await work();
  } catch (reason) {
    error = reason;
  }
  if (error instanceof Problem) return error;
  throw new Error("no problem was thrown", { cause: error });
}
