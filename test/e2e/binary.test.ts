import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SearchResultSchema } from "../../src/contract/search.ts";
import {
  eventually,
  runProgram,
  startServerProgram,
  type FinishedProgram,
  type ServerProgram,
} from "../support/process.ts";
import { shaped } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

const ROOT = join(import.meta.dir, "../..");
/** A build takes 2 s on a quiet machine with two cores. */
const BUILD_MS_MAX = 120_000;
const TEST_MS_MAX = 60_000;

/** Starts what follows it in a network namespace of its own, which has no way out; `lo` is up for server and client. */
const OFFLINE = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "offline"];
/** Starts what follows it in the network namespace of a process. */
const beside = (pid: number): string[] => ["nsenter", "-t", String(pid), "-n"];

const isOfflinePermitted = await canRun([...OFFLINE, "nsenter", "-t", String(process.pid), "-n"]);
const network = isOfflinePermitted
  ? "with no network"
  : "with the network on, since unshare is not permitted here";

let shelf: ReturnType<typeof tempDir>;
const build = (name: string) =>
  runProgram(["scripts/build.ts", "--outfile", join(shelf.path, name)], {
    cwd: ROOT,
    command: [process.execPath],
  });
beforeAll(async () => {
  shelf = tempDir();
  expect(await build("slipstream")).toMatchObject({ exitCode: 0, stderr: "" });
}, BUILD_MS_MAX);
afterAll(() => shelf[Symbol.dispose]());

/** A folder with nothing but the binary and a home with nothing at all; a run gets no environment but HOME. */
function unpackedBinary() {
  const dir = tempDir();
  const [cwd, home] = [join(dir.path, "program"), join(dir.path, "home")];
  for (const folder of [cwd, home]) mkdirSync(folder);
  cpSync(join(shelf.path, "slipstream"), join(cwd, "slipstream"));
  const command = (enter: readonly string[], env: Readonly<Record<string, string>>) => [
    ...enter,
    "env",
    "-i",
    `HOME=${home}`,
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    "./slipstream",
  ];
  return {
    cwd,
    cache: join(home, ".cache", "slipstream"),
    /** Runs a command to its end, in the network of `server` where one is given. */
    run(
      args: readonly string[],
      { env = {}, server }: { env?: Record<string, string>; server?: ServerProgram } = {},
    ): Promise<FinishedProgram> {
      const enter = server === undefined ? OFFLINE : beside(server.pid);
      return runProgram(args, { cwd, command: command(isOfflinePermitted ? enter : [], env) });
    },
    serve: () =>
      startServerProgram("data/db", {
        cwd,
        command: command(isOfflinePermitted ? OFFLINE : [], { PORT: "0", LOG_FORMAT: "json" }),
      }),
    [Symbol.dispose]: () => dir[Symbol.dispose](),
  };
}

test(
  "the same sources give the same bytes",
  async () => {
    expect(await build("again/slipstream")).toMatchObject({ exitCode: 0, stderr: "" });
    const [first, again] = ["slipstream", "again/slipstream"].map((name) =>
      hashOf(join(shelf.path, name)),
    );
    expect(again).toBe(first);
  },
  BUILD_MS_MAX,
);

describe(`the binary alone in an empty folder, ${network}`, () => {
  test(
    "answers what needs no data",
    async () => {
      using binary = unpackedBinary();
      const version = await binary.run(["version"]);
      expect(version).toMatchObject({ exitCode: 0, stderr: "" });
      expect(version.stdout).toMatch(/^slipstream \d+\.\d+\.\d+ \([^)]+, Bun [\d.]+\)\n$/);
      const models = await binary.run(["models", "verify"]);
      expect(models).toMatchObject({ exitCode: 0, stderr: "" });
      expect(models.stdout.match(/^ok /gm)?.length).toBe(5);
      const config = await binary.run(["config", "check"]);
      expect(config).toMatchObject({ exitCode: 0, stdout: "The configuration is valid.\n" });
      expect(readdirSync(binary.cwd)).toEqual(["slipstream"]);
    },
    TEST_MS_MAX,
  );

  test(
    "ingests a folder, finds an answer in it, and serves it",
    async () => {
      using binary = unpackedBinary();
      cpSync(join(ROOT, "data", "sample"), join(binary.cwd, "sample"), { recursive: true });
      const ingest = await binary.run(["ingest", "sample"]);
      expect(ingest.stdout).toContain("25 documents from 11 files are in documents");
      expect(ingest.exitCode).toBe(0);
      const query = ["search", "swearing at a referee", "--mode", "semantic", "-k", "3"];
      const search = await binary.run(query);
      expect(search.exitCode).toBe(0);
      expect(search.stdout).toContain("8.9 Conduct towards officials");

      await using server = await binary.serve();
      const served = await binary.run([...query, "--json"], { server });
      const answer = shaped(SearchResultSchema, JSON.parse(served.stdout));
      expect(answer.hits.map((hit) => hit.chunk?.heading)).toContain(
        "8.9 Conduct towards officials",
      );
      // The log is written a moment after the answer.
      const line = '"path":"/api/v1/collections/documents/search"';
      await eventually("the search is logged", () => server.stdout().includes(line) || undefined);
      for (const [path, part] of PAGES) expect(await get(server, path), path).toContain(part);
      server.signal("SIGTERM");
      expect(await server.exited).toBe(0);
      expect(server.stderr()).toBe("");
    },
    TEST_MS_MAX,
  );

  test(
    "repairs a native library in its cache that was damaged",
    async () => {
      using binary = unpackedBinary();
      const env = { EMBEDDING_MODEL_NAME: "all-MiniLM-L6-v2" };
      writeFileSync(join(binary.cwd, "note.txt"), "The marshal waves a yellow flag.");
      expect((await binary.run(["ingest", "note.txt"], { env })).exitCode).toBe(0);
      const files = cachedFiles(binary.cache);
      expect(files.length).toBe(3);
      const before = files.map(hashOf);
      for (const file of files) damage(file);
      expect(files.map(hashOf)).not.toEqual(before);
      const search = await binary.run(["search", "flag", "--mode", "semantic"], { env });
      expect(search).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("note.txt") });
      expect(files.map(hashOf)).toEqual(before);
    },
    TEST_MS_MAX,
  );

  test(
    "two first starts at once both work and leave whole files",
    async () => {
      using binary = unpackedBinary();
      writeFileSync(join(binary.cwd, "note.txt"), "The marshal waves a yellow flag.");
      const runs = ["one", "two"].map((name) =>
        binary.run(["ingest", "note.txt"], { env: { DATA_DIR: name } }),
      );
      for (const run of await Promise.all(runs)) {
        expect(run).toMatchObject({ exitCode: 0, stderr: "" });
      }
      expect(cachedFiles(binary.cache).length).toBe(3);
      expect(everything(binary.cache).filter((path) => path.endsWith(".tmp"))).toEqual([]);
    },
    TEST_MS_MAX,
  );

  test(
    "native_missing: a native library that cannot be unpacked is told in one sentence with the remedy",
    async () => {
      using binary = unpackedBinary();
      writeFileSync(join(binary.cwd, "no-folder"), "");
      const env = { SLIPSTREAM_CACHE_DIR: join(binary.cwd, "no-folder") };
      const refused = await binary.run(["collections"], { env });
      expect([refused.exitCode, refused.stdout]).toEqual([1, ""]);
      expect(refused.stderr).toStartWith("slipstream: A native library cannot be loaded. ");
      expect(refused.stderr).toContain("Set SLIPSTREAM_CACHE_DIR to a folder");
      expect(refused.stderr.trimEnd().split("\n").length).toBe(1);
    },
    TEST_MS_MAX,
  );

  test(
    "unpacks elsewhere where the home cannot be written to, and where it is told to",
    async () => {
      using binary = unpackedBinary();
      writeFileSync(join(binary.cwd, "note.txt"), "The marshal waves a yellow flag.");
      const asked = join(binary.cwd, "libraries");
      const run = await binary.run(["ingest", "note.txt"], {
        env: { SLIPSTREAM_CACHE_DIR: asked },
      });
      expect(run).toMatchObject({ exitCode: 0, stderr: "" });
      expect(cachedFiles(asked).length).toBe(3);
      // A file where a folder is wanted refuses root too, which a mode without `w` does not.
      writeFileSync(join(binary.cwd, "no-folder"), "");
      const temporary = join(binary.cwd, "tmp");
      mkdirSync(temporary);
      chmodSync(temporary, 0o1777);
      const env = { HOME: join(binary.cwd, "no-folder"), TMPDIR: temporary };
      const fallback = await binary.run(["search", "flag"], { env });
      expect(fallback).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("note.txt") });
      expect(cachedFiles(temporary).length).toBe(3);
    },
    TEST_MS_MAX,
  );
});

/** Paths of the server that a browser asks for, and a part of what it must get. */
const PAGES = [
  ["/health/ready", '"status":"healthy"'],
  ["/api/openapi.json", '"title":"Slipstream"'],
  ["/api/docs", "swagger-ui-bundle.js"],
  ["/api/docs/swagger-ui-bundle.js", "SwaggerUIBundle"],
  ["/api/docs/swagger-ui.css", ".swagger-ui"],
] as const;

/** The body at a path, asked for from the server's own network, which the tests cannot reach themselves. */
async function get(server: ServerProgram, path: string): Promise<string> {
  const program = "process.stdout.write(await (await fetch(process.argv[1])).text())";
  const enter = isOfflinePermitted ? beside(server.pid) : [];
  const command = [...enter, process.execPath, "-e", program];
  return (await runProgram([server.url + path], { cwd: ROOT, command })).stdout;
}

async function canRun(enter: readonly string[]): Promise<boolean> {
  try {
    return (await runProgram([], { cwd: ROOT, command: [...enter, "true"] })).exitCode === 0;
  } catch {
    return false;
  }
}

function everything(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

/** The native libraries under a folder. */
function cachedFiles(folder: string): string[] {
  return everything(folder).filter((path) => /\.(node|so\.1|dylib)$/.test(path));
}

function hashOf(path: string): string {
  return new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
}

/** Flips one byte in the middle: size and time say nothing of it. */
function damage(path: string): void {
  const bytes = readFileSync(path);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
  writeFileSync(path, bytes);
}

test(
  "the binary takes settings from the environment, then from .env beside it, then its defaults",
  async () => {
    using binary = unpackedBinary();
    writeFileSync(join(binary.cwd, ".env"), "PORT=8101\nSEARCH_TOP_K=7\n");
    const { exitCode, stdout } = await binary.run(["config", "print", "--json"], {
      env: { PORT: "8102" },
    });
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      PORT: "8102",
      SEARCH_TOP_K: "7",
      DRAIN_TIMEOUT: "30",
    });
  },
  TEST_MS_MAX,
);
