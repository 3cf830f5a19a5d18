import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ENGINE_COMMAND } from "../../src/engine/child-command.ts";
import { childrenOf, canListChildren } from "../support/child-processes.ts";
import { readHolder } from "../../src/store/local/lock.ts";
import {
  eventually,
  FROM_SOURCE,
  logged,
  logLines,
  startProgram,
  startServerProgram,
} from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";

const TEST_MS_MAX = 60_000;
const ENV = { EMBEDDING_MODEL_NAME: "static-256" };

test(
  "LOG_FILE has every line that stdout has, over all its files, each of them whole JSON",
  async () => {
    using dir = tempDir();
    const folder = join(dir.path, "logs");
    const env = {
      ...ENV,
      ENGINES: "0",
      LOG_FILE: join(folder, "app.log"),
      LOG_FILE_BYTES_MAX: "65536",
      LOG_FILES_KEPT: "1000",
    };
    await using server = await startServerProgram("db", { cwd: dir.path, env });
    for (let round = 0; round < 10; round++)
      await Promise.all(Array.from({ length: 50 }, () => fetch(`${server.url}/health/live`)));
    server.signal("SIGTERM");
    expect(await server.exited).toBe(0);
    const names = readdirSync(folder).toSorted();
    expect(names.length).toBeGreaterThan(2);
    // The one that is written to sorts before those that were put aside.
    const files = [...names.slice(1), ...names.slice(0, 1)];
    const text = files.map((name) => readFileSync(join(folder, name), "utf8")).join("");
    expect(text).toBe(server.stdout());
    expect(logLines(server).filter(({ event }) => event === "request_completed")).toHaveLength(500);
  },
  TEST_MS_MAX,
);

test(
  "a server whose output nobody reads any more goes on, and ends with 0",
  async () => {
    using dir = tempDir();
    const child = Bun.spawn([...FROM_SOURCE, "serve"], {
      cwd: dir.path,
      env: {
        PATH: process.env["PATH"] ?? "",
        PORT: "0",
        DATA_DIR: "db",
        ENGINES: "0",
        LOG_FORMAT: "json",
      },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const url = await eventually(
      "the server listens",
      () => readHolder(join(dir.path, "db"))?.url ?? undefined,
    );
    await child.stdout.cancel();
    for (let round = 0; round < 50; round++)
      expect((await fetch(`${url}/health/live`)).status).toBe(200);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  },
  TEST_MS_MAX,
);

test.skipIf(!canListChildren)(
  "a step of the start that hangs ends the start with a sentence and exit code 1, and leaves no process behind",
  async () => {
    using dir = tempDir();
    const env = {
      ...ENV,
      DATA_DIR: "db",
      PORT: "0",
      ENGINES: "1",
      STARTUP_TIMEOUT: "1",
      LOG_FORMAT: "json",
    };
    await using program = startProgram(["serve"], { cwd: dir.path, env });
    const [engine] = await eventually("the engine's process is there", () => {
      const children = childrenOf(ENGINE_COMMAND, program.pid);
      return children.length > 0 ? children : undefined;
    });
    process.kill(engine ?? 0, "SIGSTOP");
    expect(await program.exited).toBe(1);
    expect(program.stderr()).toContain(
      'The start took too long. The step "engines" took longer than 1 s',
    );
    expect(program.stderr()).not.toContain("at ");
    expect(childrenOf(ENGINE_COMMAND, program.pid)).toEqual([]);
    const closed = logLines(program)
      .filter(({ event }) => event === "part.closed")
      .map(({ part }) => part);
    expect(closed).toEqual(["store", "audit log", "telemetry"]);
  },
  TEST_MS_MAX,
);

test(
  "what a native library or a crash writes to an engine's stderr is a line of the log",
  async () => {
    using dir = tempDir();
    const env = { ...ENV, ENGINES: "1" };
    await using server = await startServerProgram("db", { cwd: dir.path, env });
    const [engine] = childrenOf(ENGINE_COMMAND, server.pid);
    process.kill(engine ?? 0, "SIGSEGV");
    const line = await logged(server, "child.output");
    expect(line).toMatchObject({ level: "warning", command: ENGINE_COMMAND });
    await logged(server, "engine.lost");
    server.signal("SIGTERM");
    expect(await server.exited).toBe(0);
    expect(server.stderr()).toBe("");
    logLines(server);
  },
  TEST_MS_MAX,
);
