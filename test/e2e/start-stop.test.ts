import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readHolder } from "../../src/store/local/lock.ts";
import { eventually, FROM_SOURCE, runProgram, startProgram } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";

const TEST_MS_MAX = 60_000;
const SCRIPTS = join(import.meta.dir, "../../scripts");

/** The process that a PID file names. */
function pidIn(path: string): number | undefined {
  return existsSync(path) ? Number(readFileSync(path, "utf8").split("\n")[0]) : undefined;
}

/** A folder to run the scripts in; what still runs when the test is over is killed. */
function workplace() {
  const dir = tempDir();
  const dataDir = join(dir.path, "db");
  const pidFile = join(dataDir, "slipstream.pid");
  const env = {
    SLIPSTREAM: FROM_SOURCE.join(" "),
    DATA_DIR: dataDir,
    PORT: "0",
    ENGINES: "0",
    EMBEDDING_MODEL_NAME: "static-256",
  };
  const place = {
    path: dir.path,
    env,
    dataDir,
    pidFile,
    supervisor: () => pidIn(pidFile),
    server: () => pidIn(`${pidFile}.server`),
    log: () => readFileSync(join(dataDir, "slipstream.log"), "utf8"),
    run: (
      name: string,
      more: Readonly<Record<string, string>> = {},
      args: readonly string[] = [],
    ) =>
      runProgram(args, {
        cwd: dir.path,
        env: { ...env, ...more },
        command: [join(SCRIPTS, name)],
      }),
    [Symbol.dispose]: () => {
      for (const pid of [place.supervisor(), place.server()]) if (pid !== undefined) end(pid);
      dir[Symbol.dispose]();
    },
  };
  return place;
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has gone by itself.
  }
}

/** Resolves with the process that holds the data and listens, other than one that did before. */
function serving(dataDir: string, before?: number): Promise<number> {
  return eventually("a server listens", () => {
    const holder = readHolder(dataDir);
    return holder?.url && holder.pid !== before ? holder.pid : undefined;
  });
}

test(
  "start returns when the server is ready, a crash is followed by a restart, a second start is refused, and stop ends all",
  async () => {
    using place = workplace();
    const start = await place.run("start.sh");
    const first = await serving(place.dataDir);
    expect(start).toEqual({
      exitCode: 0,
      stdout: `Slipstream runs as process ${first}; its log is ${place.dataDir}/slipstream.log.\n`,
      stderr: "",
    });
    const second = await place.run("start.sh");
    expect(second).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: `Slipstream runs already, as process ${place.supervisor()} (${place.pidFile}).\n`,
    });

    process.kill(first, "SIGKILL");
    const restarted = await serving(place.dataDir, first);
    expect(restarted).toBe(place.server() ?? 0);
    const stop = await place.run("stop.sh");
    expect([stop.exitCode, stop.stderr]).toEqual([0, ""]);
    expect(stop.stdout).toMatch(/^Slipstream has stopped, after \d+ s\.\n$/);
    expect([place.supervisor(), place.server()]).toEqual([undefined, undefined]);

    const lines = place.log().trimEnd().split("\n");
    const events: Record<string, unknown>[] = lines.map((line) => JSON.parse(line));
    expect(events.find(({ event }) => event === "supervisor.restart")).toMatchObject({
      exit_code: 137,
      crashes: 1,
      delay_seconds: 1,
    });
    expect(events.at(-1)).toMatchObject({ event: "app.stopped", drained: true });
    expect(await place.run("stop.sh")).toEqual({
      exitCode: 0,
      stdout: "Slipstream does not run.\n",
      stderr: "",
    });
  },
  TEST_MS_MAX,
);

test(
  "a PID file of a process that has gone, and of a number that another process has now, is taken over",
  async () => {
    using place = workplace();
    // This process lives, and is not the one that the file was written by, which began at another time.
    for (const content of [
      `${process.pid}\nanother-boot 1\n`,
      "999999999\nanother-boot 1\n",
      "rubbish",
    ]) {
      await Bun.write(place.pidFile, content);
      const start = await place.run("start.sh");
      expect([start.exitCode, start.stderr]).toEqual([0, ""]);
      expect(place.supervisor()).not.toBe(process.pid);
      expect((await place.run("stop.sh")).stdout).toContain("has stopped");
    }
    writeFileSync(place.pidFile, `${process.pid}\nanother-boot 1\n`);
    expect((await place.run("stop.sh")).stdout).toBe("Slipstream does not run.\n");
    expect(existsSync(place.pidFile)).toBe(false);
  },
  TEST_MS_MAX,
);

test(
  "of starts at the same moment one has the server, over a stale file too",
  async () => {
    using place = workplace();
    await Bun.write(place.pidFile, "999999999\nanother-boot 1\n");
    await Promise.all([place.run("start.sh"), place.run("start.sh"), place.run("start.sh")]);
    expect(await serving(place.dataDir)).toBe(place.server() ?? 0);
    expect(place.log().match(/"event":"app.starting"/g)).toHaveLength(1);
    expect((await place.run("stop.sh")).stdout).toContain("has stopped");
  },
  TEST_MS_MAX,
);

test(
  "a server that lost its supervisor is neither doubled nor forgotten",
  async () => {
    using place = workplace();
    expect((await place.run("start.sh")).exitCode).toBe(0);
    const server = await serving(place.dataDir);
    process.kill(place.supervisor() ?? 0, "SIGKILL");
    const again = await eventually("the supervisor has gone", async () => {
      const start = await place.run("start.sh");
      return start.stderr.includes("already") ? undefined : start;
    });
    expect([again.exitCode, again.stderr]).toEqual([
      1,
      `A server whose supervisor has gone runs as process ${server}: scripts/stop.sh ends it.\n`,
    ]);
    expect((await place.run("stop.sh")).stdout).toContain("has stopped");
    expect(readHolder(place.dataDir)).toBeUndefined();
  },
  TEST_MS_MAX,
);

test(
  "a server that crashes again and again is left as it is after so many times, with growing pauses",
  async () => {
    using place = workplace();
    // A port in use ends it at each start.
    using other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const more = { PORT: String(other.port), RESTARTS_MAX: "2", RESTART_DELAY_MAX: "1" };
    const start = await place.run("start.sh", more);
    expect([start.exitCode, start.stdout]).toEqual([1, ""]);
    expect(start.stderr).toContain("Slipstream did not start; the end of its log");
    const log = place.log();
    expect(log.match(/supervisor\.restart/g)).toHaveLength(2);
    expect(log).toContain('"event":"supervisor.given_up","exit_code":1,"crashes":3');
    expect(place.supervisor()).toBeUndefined();
  },
  TEST_MS_MAX,
);

test(
  "wrong settings are told at the terminal with their exit code, and nothing is started",
  async () => {
    using place = workplace();
    const { exitCode, stderr, stdout } = await place.run("start.sh", { PORT: "x" });
    expect([exitCode, stdout]).toEqual([78, ""]);
    expect(stderr).toContain("PORT must be a whole number");
    expect(existsSync(place.dataDir)).toBe(false);
    expect((await place.run("start.sh", {}, ["--backwards"])).exitCode).toBe(2);
    expect((await place.run("stop.sh", {}, ["--backwards"])).exitCode).toBe(2);
  },
  TEST_MS_MAX,
);

test(
  "in the foreground the log is on stdout, and a SIGTERM to the script drains the server",
  async () => {
    using place = workplace();
    await using script = startProgram(["--foreground"], {
      cwd: place.path,
      env: { ...place.env, LOG_FORMAT: "json" },
      command: [join(SCRIPTS, "start.sh")],
    });
    const server = await serving(place.dataDir);
    expect(server).toBe(place.server() ?? 0);
    script.signal("SIGTERM");
    expect(await script.exited).toBe(0);
    expect(script.stdout()).toContain('"event":"app.stopped"');
    expect(existsSync(place.pidFile)).toBe(false);
  },
  TEST_MS_MAX,
);

test(
  "stop waits as long as it is told, says that the server still runs, and kills it only with --force",
  async () => {
    using place = workplace();
    expect((await place.run("start.sh")).exitCode).toBe(0);
    const server = await serving(place.dataDir);
    // A process that is stopped hears no SIGTERM.
    process.kill(server, "SIGSTOP");
    const patient = await place.run("stop.sh", { STOP_TIMEOUT: "1" });
    expect(patient).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: "Slipstream still runs after 1 s; --force ends it at once.\n",
    });
    const forced = await place.run("stop.sh", { STOP_TIMEOUT: "0" }, ["--force"]);
    expect(forced).toMatchObject({ exitCode: 0, stdout: "Slipstream was killed after 0 s.\n" });
    expect([place.supervisor(), place.server()]).toEqual([undefined, undefined]);
  },
  TEST_MS_MAX,
);

test.skipIf(Bun.which("shellcheck") === null)(
  "shellcheck, where it is installed, has nothing to say of the scripts",
  async () => {
    const scripts = ["start.sh", "stop.sh", "process.sh"].map((name) => `scripts/${name}`);
    const checked = await runProgram(["-x", "-s", "sh", ...scripts], {
      cwd: join(SCRIPTS, ".."),
      command: ["shellcheck"],
    });
    expect(checked).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  },
);
