import { expect, test } from "bun:test";
import { SCHEMA_VERSION } from "../../src/store/local/migrations.ts";
import { oldData } from "../support/old-data.ts";
import { runProgram, startServerProgram } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";

const TEST_MS_MAX = 60_000;

/** Runs commands over one data directory. */
const commandsOver = (dataDir: string) => (args: string) =>
  runProgram(args.split(" "), { cwd: dataDir, env: { DATA_DIR: dataDir } });

test(
  "migrate tells the schema of old data, brings it up, down and up again, and says where the copies are",
  async () => {
    using data = oldData("v0.1");
    const run = commandsOver(data.dataDir);
    const status = await run("migrate status");
    expect(status).toMatchObject({ exitCode: 0, stderr: "" });
    const [first, ...lines] = status.stdout.trimEnd().split("\n");
    expect(first).toBe(`The data has schema 2, this version has ${SCHEMA_VERSION}.`);
    expect(lines).toHaveLength(SCHEMA_VERSION);
    expect(lines[0]).toMatch(/^0001 {2}initial +applied$/);
    expect(lines.at(-1)).toMatch(/ pending$/);

    const up = await run("migrate up");
    expect(up).toMatchObject({ exitCode: 0, stderr: "" });
    expect(up.stdout).toStartWith(
      `The data went from schema 2 to schema ${SCHEMA_VERSION}. A copy`,
    );
    expect((await run("migrate up")).stdout).toBe(
      `The data has schema ${SCHEMA_VERSION} already.\n`,
    );
    const down = await run("migrate down --json");
    expect(JSON.parse(down.stdout)).toEqual({
      from: SCHEMA_VERSION,
      to: SCHEMA_VERSION - 1,
      backup: expect.stringContaining(`before-migration-from-${SCHEMA_VERSION}-`),
    });
    expect(JSON.parse((await run("migrate down --to 1 --json")).stdout)).toMatchObject({ to: 1 });
    expect(JSON.parse((await run("migrate up --to 2 --json")).stdout)).toMatchObject({
      from: 1,
      to: 2,
    });
    expect((await run("migrate up")).exitCode).toBe(0);
    const after = await run("migrate --json");
    expect(JSON.parse(after.stdout)).toMatchObject({
      schema: SCHEMA_VERSION,
      known: SCHEMA_VERSION,
      migrations: Array.from({ length: SCHEMA_VERSION }, () => ({ state: "applied" })),
    });
  },
  TEST_MS_MAX,
);

test(
  "migrate refuses what is no way to go in one sentence, and a folder without data stays without",
  async () => {
    using data = oldData("v0.1");
    const run = commandsOver(data.dataDir);
    for (const args of [
      "migrate up --to 1",
      "migrate up --to x",
      "migrate down --to 0",
      "migrate sideways",
    ]) {
      const { exitCode, stdout } = await run(args);
      expect([args, exitCode, stdout]).toEqual([args, 2, ""]);
    }
    expect((await run("migrate down")).exitCode).toBe(0);
    expect(await run("migrate down")).toEqual({
      exitCode: 2,
      stdout: "",
      stderr:
        "slipstream: The command was not understood. Schema 1 is the first one: there is nothing to go back to.\n",
    });
    using dir = tempDir();
    const nowhere = commandsOver(dir.path);
    expect(await nowhere("migrate up")).toEqual({
      exitCode: 0,
      stdout: "There is no data yet.\n",
      stderr: "",
    });
  },
  TEST_MS_MAX,
);

test(
  "while a server holds the data, migrate names it and changes nothing; status and health go on",
  async () => {
    using dir = tempDir();
    const env = { EMBEDDING_MODEL_NAME: "static-256", ENGINES: "0" };
    await using server = await startServerProgram("db", { cwd: dir.path, env });
    const run = (args: string) =>
      runProgram(args.split(" "), { cwd: dir.path, env: { DATA_DIR: "db", ...env } });
    for (const args of ["migrate up", "migrate down"]) {
      expect(await run(args)).toEqual({
        exitCode: 1,
        stdout: "",
        stderr: `slipstream: The data directory is held by another process. The data directory db is held by process ${server.pid}, which listens on ${server.url}.\n`,
      });
    }
    expect((await run("migrate status")).stdout).toStartWith(
      `The data has schema ${SCHEMA_VERSION}, this version has ${SCHEMA_VERSION}.\n`,
    );
    expect(await run("health live")).toEqual({ exitCode: 0, stdout: "healthy\n", stderr: "" });
    expect(await run("health")).toMatchObject({ exitCode: 0, stderr: "" });
    const ready = await run("health ready --json");
    expect(JSON.parse(ready.stdout)).toMatchObject({ status: "healthy" });
    expect((await run("health sometimes")).exitCode).toBe(2);
    server.signal("SIGTERM");
    expect(await server.exited).toBe(0);
    const { port } = new URL(server.url);
    const gone = await runProgram(["health"], {
      cwd: dir.path,
      env: { DATA_DIR: "db", PORT: port },
    });
    expect(gone).toEqual({ exitCode: 1, stdout: "unreachable\n", stderr: "" });
    using other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
    const foreign = await runProgram(["health"], {
      cwd: dir.path,
      env: { DATA_DIR: "db", PORT: String(other.port) },
    });
    expect(foreign).toMatchObject({ exitCode: 1, stdout: "another program answers there\n" });
  },
  TEST_MS_MAX,
);
