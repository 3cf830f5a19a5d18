import { Argument, Command, CommanderError } from "commander";
import { PROBLEMS, Problem } from "../problems.ts";
import { VERSION } from "../version.ts";
import { draw, printResult, say } from "./output.ts";
import { ApiError } from "./target.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const VERSION_LINE = `slipstream ${VERSION.version} (${VERSION.commit}, Bun ${VERSION.bun})`;

/** Runs one command line. Resolves to the exit code: 0 done, 1 failed, 2 wrong usage, 78 bad configuration. */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = createProgram((code) => (exitCode = code));
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    return fail(error);
  }
}

function fail(error: unknown): number {
  // Commander has said its sentence itself.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof Problem) {
    const problem: { title: string; exit?: number } = PROBLEMS[error.code];
    say(`slipstream: ${problem.title}. ${error.detail}`);
    return problem.exit ?? EXIT_FAILED;
  }
  if (error instanceof ApiError) {
    say(`slipstream: ${error.message}`);
    return EXIT_FAILED;
  }
  say(`slipstream: unexpected failure: ${error instanceof Error ? error.message : String(error)}`);
  if (process.env["LOG_LEVEL"] === "debug" && error instanceof Error) say(error.stack ?? "");
  return EXIT_FAILED;
}

/** The command line: every command with its options and what runs it. */
export function createProgram(setExitCode: (code: number) => void): Command {
  const program = new Command("slipstream")
    .description("Text into searchable meaning, pushed live, from one file.")
    .version(VERSION_LINE, "-V, --version", "Print the version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => printResult(text.trimEnd()),
      writeErr: (text) => draw(text),
    })
    .showHelpAfterError("(slipstream help lists the commands)");

  program
    .command("serve")
    .description("Run the server until SIGTERM or Ctrl-C")
    .option("--timing", "print what the start took its time for")
    .action(async (options) =>
      setExitCode(await (await import("./serve.ts")).serveCommand(options)),
    );
  program
    .command("ingest")
    .description("Put files and folders into a collection (md, txt, html, jsonl, csv)")
    .argument("<path...>", "files or folders")
    .option("-c, --collection <name>", "the collection; made when it is missing", "documents")
    .option("-m, --model <name>", "model of a collection that is made")
    .option("--no-wait", "do not wait until everything can be found by meaning")
    .option("--json", "print the summary as JSON")
    .action(async (paths, options) =>
      setExitCode(await (await import("./ingest.ts")).ingestCommand(paths, options)),
    );
  program
    .command("search")
    .description("Search a collection")
    .argument("<text...>", "what to look for")
    .option("-c, --collection <name>", "the collection; the only one there is when not said")
    .option("-k, --k <count>", "hits")
    .option("--mode <mode>", "hybrid, semantic or keyword")
    .option("--filter <json>", "a filter over metadata")
    .option("--explain", "show how each score came about")
    .option("--json", "print the answer as JSON")
    .action(async (words: string[], options) =>
      (await import("./search.ts")).searchCommand(words.join(" "), options),
    );
  program
    .command("verify")
    .description("Compare the indexes with the database, and the database with itself")
    .option("--json", "as JSON")
    .action(async (options) =>
      setExitCode(await (await import("./maintenance.ts")).verifyCommand(options)),
    );
  program
    .command("compact")
    .description("Merge index segments and give free space back")
    .option("--json", "as JSON")
    .action(async (options) => (await import("./maintenance.ts")).compactCommand(options));
  addReindex(program, setExitCode);
  addBackups(program, setExitCode);
  addJobs(program);
  addHealth(program, setExitCode);
  addMigrate(program, setExitCode);
  addCollections(program);
  addModels(program);
  addConfig(program, setExitCode);
  program
    .command("version")
    .description("Print the version")
    .option("--json", "as JSON")
    .action(({ json }: { json?: boolean }) =>
      printResult(json ? JSON.stringify(VERSION) : VERSION_LINE),
    );
  return program;
}

function addReindex(program: Command, setExitCode: (code: number) => void): void {
  program
    .command("reindex")
    .description("Make the index of a collection anew from the database")
    .argument("<collection>", "the collection")
    .option("--embed", "make the vectors anew too, by the weights of this version")
    .option("--json", "print the job as JSON")
    .action(async (collection, options) =>
      setExitCode(await (await import("./reindex.ts")).reindexCommand(collection, options)),
    );
}

function addBackups(program: Command, setExitCode: (code: number) => void): void {
  program
    .command("backup")
    .description("Copy the data into its folder of backups, and check the copy")
    .option("--json", "as JSON")
    .action(async (options) =>
      setExitCode(await (await import("./backup.ts")).backupCommand(options)),
    );
  program
    .command("restore")
    .description(
      "Put a backup in the place of the data, which is kept aside; with no server running",
    )
    .argument("<path>", "a file, or the name of one of the backups")
    .option("--json", "as JSON")
    .action(async (path, options) => (await import("./backup.ts")).restoreCommand(path, options));
}

function addJobs(program: Command): void {
  const jobs = program.command("jobs").description("Background work: uploads, backups, compaction");
  jobs
    .command("list", { isDefault: true })
    .description("List the newest jobs")
    .option("--state <state>", "queued, running, succeeded, failed or cancelled")
    .option("--kind <kind>", "ingest, reindex, backup or compaction")
    .option("--limit <count>", "jobs", "50")
    .option("--json", "as JSON")
    .action(async (options) => (await import("./jobs.ts")).listCommand(options));
  jobs
    .command("show <id>")
    .description("Show a job and what it could not take")
    .option("--json", "as JSON")
    .action(async (id, options) => (await import("./jobs.ts")).showCommand(id, options));
  jobs
    .command("cancel <id>")
    .description("Stop a job; what it has done stays done")
    .action(async (id) => (await import("./jobs.ts")).cancelCommand(id));
}

function addHealth(program: Command, setExitCode: (code: number) => void): void {
  program
    .command("health")
    .description("Ask the server how it is: 0 where it is well, else 1")
    .addArgument(
      new Argument("[probe]", "what to ask").choices(["live", "ready", "startup"]).default("ready"),
    )
    .option("--json", "print the whole answer")
    .action(async (probe, options) =>
      setExitCode(await (await import("./health.ts")).healthCommand(probe, options)),
    );
}

function addMigrate(program: Command, setExitCode: (code: number) => void): void {
  const migrate = program.command("migrate").description("The schema of the data directory");
  migrate
    .command("status", { isDefault: true })
    .description("List the migrations and say which ones the data has had")
    .option("--json", "as JSON")
    .action(async (options) => setExitCode((await import("./migrate.ts")).statusCommand(options)));
  migrate
    .command("up")
    .description("Bring the data to the newest schema, with a copy before; serve does so by itself")
    .option("--to <schema>", "an older one of the schemas after the data's")
    .option("--json", "as JSON")
    .action(async (options) => (await import("./migrate.ts")).upCommand(options));
  migrate
    .command("down")
    .description(
      "Take the data one schema back, with a copy before: what only the newer one holds is gone",
    )
    .option("--to <schema>", "further back")
    .option("--json", "as JSON")
    .action(async (options) => (await import("./migrate.ts")).downCommand(options));
}

function addCollections(program: Command): void {
  const collections = program
    .command("collections")
    .description("List, make and delete collections");
  collections
    .command("list", { isDefault: true })
    .description("List the collections")
    .option("--json", "as JSON")
    .action(async (options) => (await import("./collections.ts")).listCommand(options));
  collections
    .command("create <name>")
    .description("Make an empty collection")
    .option("-m, --model <name>", 'model, or "none" for vectors of your own')
    .option("-d, --dimensions <count>", "of vectors of your own")
    .action(async (name, options) =>
      (await import("./collections.ts")).createCommand(name, options),
    );
  collections
    .command("delete <name>")
    .description("Delete a collection and everything in it")
    .requiredOption("--yes", "confirm")
    .action(async (name) => (await import("./collections.ts")).deleteCommand(name));
}

function addModels(program: Command): void {
  const models = program.command("models").description("The installed embedding models");
  models
    .command("list", { isDefault: true })
    .description("List the models")
    .option("--json", "as JSON")
    .action(async (options) => (await import("./models.ts")).listCommand(options));
  models
    .command("verify")
    .description("Compare every model file with its checksum")
    .action(async () => (await import("./models.ts")).verifyCommand());
}

function addConfig(program: Command, setExitCode: (code: number) => void): void {
  const config = program.command("config").description("The settings");
  config
    .command("check")
    .description("Say whether the settings are valid")
    .action(async () => setExitCode((await import("./config.ts")).checkCommand()));
  config
    .command("print")
    .description("Print the settings in force, without passwords")
    .option("--json", "as JSON")
    .action(async (options) => (await import("./config.ts")).printCommand(options));
  config
    .command("docs")
    .description("Print the documentation of all settings")
    .action(async () => (await import("./config.ts")).docsCommand());
}
