import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CollectionSchema } from "../../src/contract/collections.ts";
import { CompactReportSchema, VerifyReportSchema } from "../../src/contract/maintenance.ts";
import { SearchResultSchema } from "../../src/contract/search.ts";
import { LocalStore } from "../../src/store/local/local-store.ts";
import {
  logLines,
  runProgram,
  startServerProgram,
  type FinishedProgram,
  type ServerProgram,
} from "../support/process.ts";
import { shaped } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

const TEST_MS_MAX = 30_000;

/** A folder to work in, with the data in `db` beside the files to ingest. Every run is checked for stack traces. */
function workplace(files: Readonly<Record<string, string>> = {}) {
  const dir = tempDir();
  const settings = { DATA_DIR: "db", EMBEDDING_MODEL_NAME: "static-256" };
  const write = (given: Readonly<Record<string, string>>) => {
    mkdirSync(join(dir.path, "in"), { recursive: true });
    for (const [name, text] of Object.entries(given)) {
      writeFileSync(join(dir.path, "in", name), text);
    }
  };
  write(files);
  return {
    dataDir: join(dir.path, "db"),
    write,
    async run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
      const options = { cwd: dir.path, env: { ...settings, ...env } };
      const finished = await runProgram(args, options);
      expect(finished.stderr).not.toMatch(STACK_TRACE);
      return finished;
    },
    serve: (env: Readonly<Record<string, string>> = {}): Promise<ServerProgram> =>
      startServerProgram("db", { cwd: dir.path, env: { ...settings, ...env } }),
    [Symbol.dispose]: () => dir[Symbol.dispose](),
  };
}

/** Changes the database of nobody by hand. */
function change(dataDir: string, ...statements: string[]): void {
  using db = new Database(join(dataDir, "slipstream.db"));
  for (const sql of statements) db.run(sql);
}

const STACK_TRACE = /^\s+at .*[:(]/m;

/** Ids of the hits of `search … --json`, best first. */
function hitIds({ stdout }: FinishedProgram): string[] {
  return shaped(SearchResultSchema, JSON.parse(stdout)).hits.map((hit) => hit.id);
}

/** Paths of the requests that a server has logged. */
function requestsTo(server: ServerProgram): unknown[] {
  return logLines(server)
    .filter((line) => line["event"] === "request_completed")
    .map((line) => line["path"]);
}

test(
  "ingest reads Markdown, text, HTML, JSON Lines and CSV, and search finds each",
  async () => {
    using place = workplace({
      "one.md": "# Flags\n\nThe marshal waves a walrus.",
      "two.txt": "A plain giraffe.",
      "three.html": "<html><title>Zoo</title><body><p>The hippopotamus.</p></body></html>",
      "four.jsonl": '{"id":"line-1","text":"An ocelot."}\n{"id":"line-2","text":"A badger."}\n',
      "five.csv": "id,text,legs\nrow-1,A centipede.,100\n",
    });
    const ingest = await place.run(["ingest", "in", "--json"]);
    expect(ingest.exitCode).toBe(0);
    expect(JSON.parse(ingest.stdout)).toMatchObject({
      collection: "documents",
      files: 5,
      upserted: 6,
      failed: 0,
      pending_embeddings: 0,
      interrupted: false,
    });
    const animals = [
      ["walrus", "one.md"],
      ["giraffe", "two.txt"],
      ["hippopotamus", "three.html"],
      ["badger", "line-2"],
      ["centipede", "row-1"],
    ] as const;
    for (const [animal, id] of animals) {
      const search = await place.run(["search", animal, "--json", "-k", "1"]);
      expect([search.exitCode, search.stderr, hitIds(search)]).toEqual([0, "", [id]]);
    }
    const legs = await place.run(["search", "animal", "--json", "--filter", '{"legs":100}']);
    expect(hitIds(legs)).toEqual(["row-1"]);
    const shown = await place.run(["search", "ocelot", "--mode", "keyword"]);
    expect(shown.stdout).toContain("An ocelot.");
    expect(shown.stdout).not.toContain("badger");
  },
  TEST_MS_MAX,
);

test(
  "a second ingest replaces what the first one put in",
  async () => {
    using place = workplace({ "note.md": "The walrus.", "other.md": "The giraffe." });
    expect((await place.run(["ingest", "in"])).exitCode).toBe(0);
    place.write({ "note.md": "The ocelot." });
    expect((await place.run(["ingest", "in"])).exitCode).toBe(0);
    const list = await place.run(["collections", "list", "--json"]);
    expect(JSON.parse(list.stdout)).toMatchObject([{ name: "documents", documents: 2, chunks: 2 }]);
    const ids = async (word: string) =>
      hitIds(await place.run(["search", word, "--mode", "keyword", "--json"]));
    expect(await ids("walrus")).toEqual([]);
    expect(await ids("ocelot")).toEqual(["note.md"]);
  },
  TEST_MS_MAX,
);

test(
  "what cannot be read is told with file and line, and the rest is in",
  async () => {
    using place = workplace({
      "a.jsonl":
        '{"id":"a1","text":"One."}\n{"id":"a2","te\n{"id":"a3","text":"Three."}\n{"id":"a4"}\n',
      "b.csv": "id,text\nb1,Cell.\nb2,too,many\nb3,Fine.\n",
      "c.md": "",
    });
    const ingest = await place.run(["ingest", "in", "missing.md"]);
    expect(ingest.exitCode).toBe(1);
    expect(ingest.stderr.split("\n")).toEqual([
      "missing.md: does not exist",
      "in/a.jsonl:2: is not valid JSON",
      "in/a.jsonl:4: has no text, content or body",
      "in/b.csv:3: has 3 cells where the header has 2",
      "in/c.md: is empty",
      "",
    ]);
    expect(ingest.stdout).toStartWith("4 documents from 3 files are in documents, 5 failed");
    const list = await place.run(["collections", "list", "--json"]);
    expect(JSON.parse(list.stdout)).toMatchObject([{ documents: 4, pending_embeddings: 0 }]);
  },
  TEST_MS_MAX,
);

test(
  "while a server holds the data, search, ingest and collections go to it",
  async () => {
    using place = workplace({ "note.md": "The walrus." });
    await using server = await place.serve();
    const ingest = await place.run(["ingest", "in"]);
    expect(ingest).toMatchObject({ exitCode: 0, stderr: "" });
    const path = "/api/v1/collections/documents";
    const answer = await fetch(server.url + path);
    expect(shaped(CollectionSchema, await answer.json())).toMatchObject({
      documents: 1,
      pending_embeddings: 0,
    });
    expect(hitIds(await place.run(["search", "walrus", "--json"]))).toEqual(["note.md"]);
    server.signal("SIGTERM");
    expect(await server.exited).toBe(0);
    expect(requestsTo(server)).toEqual(
      expect.arrayContaining([`${path}/documents`, `${path}/search`]),
    );
    // The server has let go, so the same command now opens the data itself.
    expect(hitIds(await place.run(["search", "walrus", "--json"]))).toEqual(["note.md"]);
  },
  TEST_MS_MAX,
);

test(
  "a second server on the same data is refused with the first one's pid and address",
  async () => {
    using place = workplace();
    await using server = await place.serve();
    const second = await place.run(["serve"], { PORT: "0" });
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toBe(
      `slipstream: The data directory is held by another process. The data directory db is held by process ${server.pid}, which listens on ${server.url}.\n`,
    );
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
  },
  TEST_MS_MAX,
);

test(
  "data_locked: data held by a command that is no server is refused with its pid",
  async () => {
    using place = workplace();
    await using _store = await LocalStore.open(place.dataDir);
    const refused = await place.run(["collections"]);
    expect(refused).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: `slipstream: The data directory is held by another process. The data directory db is held by process ${process.pid}.\n`,
    });
  },
  TEST_MS_MAX,
);

test(
  "data that cannot be used is refused in one sentence that names it",
  async () => {
    using place = workplace({ "a-file": "" });
    mkdirSync(place.dataDir);
    writeFileSync(join(place.dataDir, "slipstream.db"), "no database ".repeat(1000));
    const damaged = await place.run(["collections"]);
    expect([damaged.exitCode, damaged.stderr]).toEqual([
      1,
      "slipstream: The data directory is damaged. The database file is damaged: restore a backup.\n",
    ]);
    const noFolder = await place.run(["collections"], { DATA_DIR: "in/a-file" });
    expect(noFolder.exitCode).not.toBe(0);
    expect(noFolder.stderr).toContain("in/a-file");
    expect(noFolder.stderr).not.toContain("unexpected failure");
  },
  TEST_MS_MAX,
);

test(
  "port_in_use: a port in use is refused in one sentence, and the data is let go",
  async () => {
    using place = workplace();
    using other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const refused = await place.run(["serve"], { PORT: String(other.port) });
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toBe(
      `slipstream: The port is in use. Port ${other.port} of 127.0.0.1 is in use by another program; set PORT to a free one.\n`,
    );
    expect((await place.run(["collections"])).exitCode).toBe(0);
  },
  TEST_MS_MAX,
);

test(
  "wrong settings end every command with 78 and are all named, without their values",
  async () => {
    using place = workplace();
    const wrong = { PORT: "s3cret", LOG_LEVEL: "loud", ENGINES: "-1", HOST: "0.0.0.0" };
    for (const args of [["serve"], ["config", "check"], ["ingest", "in"], ["search", "walrus"]]) {
      const { exitCode, stderr, stdout } = await place.run(args, wrong);
      expect(exitCode).toBe(78);
      for (const name of Object.keys(wrong)) expect(stderr).toContain(name);
      expect(stderr).not.toContain("s3cret");
      expect(stdout).toBe("");
    }
  },
  TEST_MS_MAX,
);

test(
  "a model that is not installed is a wrong setting",
  async () => {
    using place = workplace({ "note.md": "The walrus." });
    for (const args of [["config", "check"], ["serve"]]) {
      const { exitCode, stderr } = await place.run(args, {
        EMBEDDING_MODEL_NAME: "gpt-9",
        PORT: "0",
      });
      expect([exitCode, stderr]).toEqual([78, expect.stringContaining("EMBEDDING_MODEL_NAME")]);
    }
  },
  TEST_MS_MAX,
);

test.each([
  [["nonsense"], "unknown command 'nonsense'"],
  [["ingest"], "missing required argument 'path'"],
  [["serve", "--fast"], "unknown option '--fast'"],
  [["collections", "delete", "documents"], "required option '--yes' not specified"],
  [["search", "walrus", "--filter", "{bad"], "--filter must be JSON."],
  [["search", "walrus"], "There is no collection yet"],
])(
  "%j is wrong usage: exit code 2 and a sentence",
  async (args, sentence) => {
    using place = workplace();
    const { exitCode, stderr, stdout } = await place.run(args);
    expect([exitCode, stderr, stdout]).toEqual([2, expect.stringContaining(sentence), ""]);
  },
  TEST_MS_MAX,
);

test.each([
  [["search", "walrus", "-c", "nowhere"], "No such collection or alias"],
  [["collections", "delete", "nowhere", "--yes"], "No such collection or alias"],
  [["collections", "create", "bad name"], "/name"],
  [["collections", "create", "some", "-m", "gpt-9"], "No such model is installed"],
  [["ingest", "in", "-m", "gpt-9"], "No such model is installed"],
  [["search", "walrus", "-c", "nowhere", "-k", "many"], "/k"],
])(
  "%j fails: exit code 1 and a sentence",
  async (args, sentence) => {
    using place = workplace({ "note.md": "The walrus." });
    const { exitCode, stderr, stdout } = await place.run(args);
    expect([exitCode, stderr, stdout]).toEqual([1, expect.stringContaining(sentence), ""]);
    expect(stderr.trimEnd().split("\n").length).toBe(1);
  },
  TEST_MS_MAX,
);

test(
  "collections are made, listed and deleted",
  async () => {
    using place = workplace();
    expect(await place.run(["collections"])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    const create = await place.run(["collections", "create", "own", "-m", "none", "-d", "3"]);
    expect(create).toEqual({
      exitCode: 0,
      stdout: "own  none  0 documents  0 chunks\n",
      stderr: "",
    });
    const again = await place.run(["collections", "create", "own", "-m", "none", "-d", "3"]);
    expect(again).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("already in use") });
    expect((await place.run(["collections"])).stdout).toBe(create.stdout);
    const gone = await place.run(["collections", "delete", "own", "--yes"]);
    expect(gone).toEqual({ exitCode: 0, stdout: "own is deleted.\n", stderr: "" });
    expect((await place.run(["collections"])).stdout).toBe("");
  },
  TEST_MS_MAX,
);

test(
  "verify says that nothing is wrong, and what is, by its exit code too",
  async () => {
    using place = workplace({ "note.md": "The walrus.", "other.md": "The giraffe." });
    expect((await place.run(["ingest", "in"])).exitCode).toBe(0);
    expect(await place.run(["verify"])).toEqual({
      exitCode: 0,
      stdout: "documents: 2 chunks, 2 vectors, 2 with words\nNothing is wrong.\n",
      stderr: "",
    });
    change(place.dataDir, "UPDATE collections SET documents = 7");
    const counted = await place.run(["verify"]);
    expect(counted).toMatchObject({ exitCode: 1, stderr: "" });
    expect(counted.stdout).toStartWith("database: documents counts its documents wrong\n");
    expect(counted.stdout).toEndWith("Something is wrong.\n");
    const json = await place.run(["verify", "--json"]);
    expect(json).toMatchObject({ exitCode: 1, stderr: "" });
    expect(shaped(VerifyReportSchema, JSON.parse(json.stdout))).toMatchObject({
      ok: false,
      database: { problems: ["documents counts its documents wrong"] },
      collections: [{ name: "documents", chunks: 2, vectors: 2, words: 2, problems: [] }],
    });
    change(
      place.dataDir,
      "UPDATE collections SET documents = 2",
      "UPDATE chunks SET state = 2",
      "DELETE FROM vectors",
    );
    const missing = await place.run(["verify"]);
    // The rows that were never sealed are replayed from the database, so the index has what the database has.
    expect(missing).toMatchObject({ exitCode: 0, stderr: "" });
    expect(missing.stdout).toStartWith("documents: 2 chunks, 0 vectors, 2 with words\n");
  },
  TEST_MS_MAX,
);

test(
  "compact seals and gives room back, with a server and without one",
  async () => {
    using place = workplace({ "note.md": "The walrus.", "other.md": "The giraffe." });
    expect((await place.run(["ingest", "in"])).exitCode).toBe(0);
    const alone = await place.run(["compact", "--json"]);
    expect([alone.exitCode, alone.stderr]).toEqual([0, ""]);
    expect(shaped(CompactReportSchema, JSON.parse(alone.stdout))).toMatchObject({
      collections: 1,
      segments: 2,
    });
    change(place.dataDir, "UPDATE chunks SET state = 2", "DELETE FROM vectors");
    const surplus = await place.run(["verify"]);
    expect(surplus).toMatchObject({ exitCode: 1, stderr: "" });
    expect(surplus.stdout).toContain(
      "documents: the vector index has 2 chunks where the database has 0\n",
    );
    await using server = await place.serve();
    const served = await place.run(["compact"]);
    expect([served.exitCode, served.stderr]).toEqual([0, ""]);
    expect(served.stdout).toMatch(/^2 segments; \d+\.\d MB before, \d+\.\d MB after\.\n$/);
    server.signal("SIGTERM");
    expect(await server.exited).toBe(0);
    expect(requestsTo(server)).toContain("/api/v1/admin/compact");
  },
  TEST_MS_MAX,
);

test("the version is told in each of the ways that people ask for it", async () => {
  using place = workplace();
  const told = await Promise.all(["version", "--version", "-V"].map((word) => place.run([word])));
  for (const { exitCode, stdout } of told) {
    expect(exitCode).toBe(0);
    expect(stdout).toBe(told[0]?.stdout ?? "");
    expect(stdout).toMatch(/^slipstream \d+\.\d+\.\d+ .*\n$/);
  }
});
