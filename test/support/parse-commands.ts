// A program of its own, run by command-line.ts: the command line is tested where it is run, in processes of its own.
import { CommanderError, type Command } from "commander";
import { createProgram } from "../../src/cli/run.ts";

const commands: string[][] = JSON.parse(process.argv[2] ?? "[]");
process.stdout.write(JSON.stringify(commands.filter((args) => !parses(args))));

function parses(args: readonly string[]): boolean {
  const program = createProgram(() => {});
  disarm(program);
  try {
    program.parse([...args], { from: "user" });
    return true;
  } catch (error) {
    // Help and version end the parsing, and are what was asked for.
    return error instanceof CommanderError && error.exitCode === 0;
  }
}

/** Nothing is run and nothing is said. */
function disarm(command: Command): void {
  command.exitOverride().configureOutput({ writeOut: () => {}, writeErr: () => {} });
  if (command.commands.length === 0) command.action(() => {});
  for (const one of command.commands) disarm(one);
}
