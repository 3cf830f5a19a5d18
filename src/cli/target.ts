import { Value } from "@sinclair/typebox/value";
import { openProgram } from "../boot/program.ts";
import type { Config } from "../config.ts";
import { ProblemSchema } from "../contract/shared.ts";
import { Problem } from "../problems.ts";
import { readHolder } from "../store/local/lock.ts";

/** Where a command's requests go: to the server that holds the data directory, or to the same program in this process. */
export interface Target extends AsyncDisposable {
  /** `path` begins with a slash. The answer's status is the caller's to look at. */
  call(path: string, init?: RequestInit): Promise<Response>;
}

/** What a command that finds no server needs of the program in its own process. */
export interface TargetOptions {
  engines?: boolean;
  /** Jobs are run: those that others have left too, while the command waits for its own. */
  jobs?: boolean;
}

/**
 * A short command starts no engines of its own: they would take longer than its work.
 * @throws Problem `data_locked` where the holder does not listen, and as `openProgram`
 */
export async function openTarget(
  config: Config,
  { engines = false, jobs = false }: TargetOptions = {},
): Promise<Target> {
  try {
    const program = await openProgram({
      ...config,
      engines: engines ? config.engines : 0,
      jobWorkers: jobs ? 1 : 0,
    });
    return {
      call: (path, init) => program.front.handle(new Request(`http://localhost${path}`, init)),
      [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
    };
  } catch (error) {
    const url =
      error instanceof Problem && error.code === "data_locked"
        ? readHolder(config.dataDir)?.url
        : undefined;
    if (url === undefined || url === null) throw error;
    // `timeout: false`: an ingest runs for as long as it has documents.
    return {
      call: (path, init) => fetch(url + path, { ...init, timeout: false }),
      [Symbol.asyncDispose]: async () => {},
    };
  }
}

/** The JSON of an answer. @throws Problem of the answer's own code and detail where it is one */
export async function readAnswer(response: Response): Promise<unknown> {
  const text = await response.text();
  const value: unknown = text === "" ? undefined : JSON.parse(text);
  if (response.ok) return value;
  throw new ApiError(response.status, value);
}

/** An answer that is a problem, as the CLI shows it. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, body: unknown) {
    const problem = Value.Check(ProblemSchema, body) ? body : undefined;
    super(
      problem === undefined
        ? `The request failed with HTTP ${status}.`
        : `${problem.title}. ${problem.detail}`,
    );
    this.name = "ApiError";
    this.status = status;
    this.code = problem?.code ?? "unknown";
  }
}

/** A JSON body with its method and content type. */
export function jsonBody(method: string, body: unknown): RequestInit {
  return { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}
