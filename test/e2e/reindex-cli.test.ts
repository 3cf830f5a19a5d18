import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { embeddedByOtherWeights } from "../support/other-weights.ts";
import { runProgram, startServerProgram } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";

const ENV = { DATA_DIR: "db", EMBEDDING_MODEL_NAME: "static-256" };

test("slipstream reindex --embed makes a collection of other weights answer by meaning, with a server and without", async () => {
  using dir = tempDir();
  const run = (...args: string[]) => runProgram(args, { cwd: dir.path, env: ENV });
  const search = () => run("search", "what stops a race", "-c", "notes", "--mode", "semantic");
  mkdirSync(join(dir.path, "notes"));
  writeFileSync(join(dir.path, "notes", "a.md"), "A red flag stops the session.");
  expect((await run("ingest", "notes", "-c", "notes")).exitCode).toBe(0);

  embeddedByOtherWeights(join(dir.path, "db"));
  const refused = await search();
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain("The collection was embedded by other weights");
  const state = "notes  static-256  1 documents  1 chunks";
  expect((await run("collections")).stdout).toBe(
    `${state}  embedded by other weights: slipstream reindex --embed\n`,
  );
  const made = await run("reindex", "notes", "--embed");
  expect(made).toMatchObject({ exitCode: 0, stdout: "notes  1 chunks  Nothing is wrong.\n" });
  expect((await search()).stdout).toContain("red flag");
  expect((await run("collections")).stdout).toBe(`${state}\n`);

  embeddedByOtherWeights(join(dir.path, "db"));
  await using _server = await startServerProgram("db", { cwd: dir.path, env: ENV });
  expect((await search()).exitCode).toBe(1);
  const { exitCode, stdout } = await run("reindex", "notes", "--embed", "--json");
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ kind: "reindex", state: "succeeded" });
  expect((await search()).stdout).toContain("red flag");
  expect((await run("reindex", "notes")).exitCode).toBe(0);
  const nowhere = await run("reindex", "nowhere");
  expect(nowhere).toMatchObject({ exitCode: 1, stdout: "" });
  expect(nowhere.stderr).toContain("No such collection or alias");
}, 60_000);
