import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { nativePlugin } from "./build/native-plugin.ts";
import { spanLibraryPlugin } from "./build/span-library-plugin.ts";
import { hostTarget, resolveTarget } from "./build/targets.ts";

const ROOT = join(import.meta.dir, "..");

/**
 * Builds the one binary: `bun scripts/build.ts [--target bun-linux-arm64] [--outfile dist/slipstream] [--entry src/main.ts]`.
 * The same commit gives the same bytes.
 */
async function build(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: {
      target: { type: "string", default: hostTarget() },
      outfile: { type: "string", default: join(ROOT, "dist", "slipstream") },
      entry: { type: "string", default: join(ROOT, "src", "main.ts") },
    },
  });
  const target = resolveTarget(values.target, join(ROOT, "node_modules"));
  const { commit, time } = await sourceState();
  const startedMs = performance.now();
  await Bun.build({
    // A Worker is found in the binary by its path from the root, as an entry point of its own.
    entrypoints: [
      values.entry,
      join(ROOT, "src", "store", "local", "writer-worker.ts"),
      join(ROOT, "src", "standing-queries", "matcher-worker.ts"),
    ],
    root: ROOT,
    target: "bun",
    format: "esm",
    // Names are kept: traces and error messages show them.
    minify: { whitespace: true, syntax: true, identifiers: false },
    // Parsed at build time, so a start takes a third of the time.
    bytecode: true,
    sourcemap: "linked",
    define: {
      "process.env.NODE_ENV": '"production"',
      "process.env.SLIPSTREAM_BUILD_COMMIT": JSON.stringify(commit),
      "process.env.SLIPSTREAM_BUILD_TIME": JSON.stringify(time),
    },
    plugins: [nativePlugin(target.native), spanLibraryPlugin],
    compile: {
      target: target.compileTarget,
      outfile: values.outfile,
      // Settings may lie in a `.env` file beside the data. A stray bunfig.toml could preload code into the server.
      autoloadDotenv: true,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
  });
  // The maps are inside the binary too, and those copies are the ones that stack traces use.
  await rm(`${values.outfile}.map`, { force: true });
  for (const worker of ["writer-worker", "matcher-worker"]) {
    await rm(join(dirname(values.outfile), `${worker}.js.map`), { force: true });
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const megabytes = (Bun.file(values.outfile).size / 1e6).toFixed(1);
  process.stdout.write(
    `${values.outfile} for ${values.target}: ${megabytes} MB, commit ${commit}, ${seconds} s\n`,
  );
}

/** The commit, with `-dirty` when the tree differs from it, and its time; SOURCE_DATE_EPOCH (seconds) overrides the time. */
async function sourceState(): Promise<{ commit: string; time: string }> {
  const commit = await git(["rev-parse", "--short=12", "HEAD"]);
  const changes = await git(["status", "--porcelain"]);
  const epochSeconds =
    process.env["SOURCE_DATE_EPOCH"] ?? (await git(["log", "-1", "--format=%ct"])) ?? "0";
  return {
    commit: commit === undefined ? "unknown" : `${commit}${changes === "" ? "" : "-dirty"}`,
    time: new Date(Number(epochSeconds) * 1000).toISOString(),
  };
}

/** What git answers; undefined outside a repository, without git or before the first commit. */
async function git(args: readonly string[]): Promise<string | undefined> {
  const { exitCode, stdout } = await Bun.$`git ${args}`.cwd(ROOT).quiet().nothrow();
  return exitCode === 0 ? stdout.toString().trim() : undefined;
}

try {
  await build(process.argv.slice(2));
} catch (error) {
  const reasons = error instanceof AggregateError ? error.errors : [error];
  for (const reason of reasons) process.stderr.write(`${String(reason)}\n`);
  process.exitCode = 1;
}
