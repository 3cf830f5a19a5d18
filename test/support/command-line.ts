import { join } from "node:path";
import { runProgram } from "./process.ts";

const PARSER = join(import.meta.dir, "parse-commands.ts");

/** Those of some command lines, without the program's name, that the program does not understand. None is run. */
export async function notUnderstood(commands: readonly (readonly string[])[]): Promise<unknown> {
  const { exitCode, stdout, stderr } = await runProgram([PARSER, JSON.stringify(commands)], {
    cwd: join(import.meta.dir, "../.."),
    command: [process.execPath],
  });
  if (exitCode !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}
