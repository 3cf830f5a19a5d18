import { format } from "node:util";
import { limits } from "../limits.ts";
import { getLogger } from "./logs.ts";

const log = getLogger("process");

/**
 * Puts into the log what others would write around it: libraries through the console, the runtime's warnings, and faults
 * that nobody has caught. One fault in a detached task must not take every request with it, so the process goes on.
 */
export function captureForeignOutput(): Disposable {
  const target = globalThis.console;
  const own = { ...target };
  target.debug = quiet;
  target.trace = quiet;
  target.log = quiet;
  target.info = quiet;
  target.warn = (...parts: unknown[]) => log.warning("library.output", () => shown(parts));
  target.error = (...parts: unknown[]) => log.error("library.output", () => shown(parts));
  // The runtime's own listener writes them to stderr.
  const printers = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", logWarning);
  process.on("uncaughtException", logException);
  process.on("unhandledRejection", logRejection);
  return {
    [Symbol.dispose]() {
      Object.assign(target, own);
      process.off("warning", logWarning);
      for (const printer of printers) process.on("warning", printer);
      process.off("uncaughtException", logException);
      process.off("unhandledRejection", logRejection);
    },
  };
}

/** Logs what a child of this process writes to its stderr, a line each, until that ends. Never rejects. */
export async function logChildOutput(
  output: ReadableStream<Uint8Array>,
  { command }: { command: string },
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const part of output) {
      const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
      rest = (lines.pop() ?? "").slice(0, limits.foreignLineCharactersMax);
      for (const line of lines) logLine(line, command);
    }
  } catch (error) {
    log.debug("child.output_ended", { command, error });
  }
  logLine(rest, command);
}

function logLine(line: string, command: string): void {
  const text = line.trimEnd().slice(0, limits.foreignLineCharactersMax);
  if (text !== "") log.warning("child.output", { command, text });
}

/** What libraries say of their own accord is for those who look for it. */
function quiet(...parts: unknown[]): void {
  log.debug("library.output", () => shown(parts));
}

function shown(parts: readonly unknown[]): { text: string } {
  return { text: format(...parts).slice(0, limits.foreignLineCharactersMax) };
}

function logWarning(warning: Error): void {
  log.warning("process.warning", { error: warning });
}

function logException(error: unknown): void {
  log.error("process.uncaught_exception", { error });
}

function logRejection(error: unknown): void {
  log.error("process.unhandled_rejection", { error });
}
