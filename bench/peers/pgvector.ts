import { SQL } from "bun";
import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { freePort, listens, startChild } from "./children.ts";
import { graph, type LibraryPeer, type Row } from "./peer.ts";
import { DIMENSIONS, jsonVector, K } from "./vectors.ts";

const CONNECTIONS = 16;
/** A user without rights that every system has: Postgres refuses to run as root. */
const NOBODY = 65534;
const START_MS_MAX = 30_000;
/** What a machine for a database is given: a quarter of what is usual for shared buffers, and room to build a graph. */
const MEMORY = ["shared_buffers=512MB", "maintenance_work_mem=1GB"];

/** Postgres with pgvector over its own wire. */
export const pgvectorPeer: LibraryPeer = {
  kind: "library",
  name: "pgvector",
  interface: "Postgres wire, 16 connections",
  parameters: `HNSW, m 16, ef_construction 128, hnsw.ef_search 64, cosine, B-tree on filters, ${MEMORY.join(", ")}`,
  async version(install) {
    const pgInstall = join(binOf(install), "..");
    const control = join(pgInstall, "share/postgresql/extension/vector.control");
    const [, version = ""] =
      /default_version = '([^']+)'/.exec(await Bun.file(control).text()) ?? [];
    const postgres = await Bun.$`${join(pgInstall, "bin/postgres")} --version`.text();
    return `${version}, Postgres ${postgres.trim().split(" ").at(-1)}`;
  },
  async open({ install, dataDir }) {
    const bin = binOf(install);
    const data = join(dataDir, "postgres");
    if (!existsSync(data)) await makeCluster(bin, data);
    const port = await freePort();
    const log = join(dataDir, "..", "postgres.log");
    const settings = [
      ...MEMORY,
      `port=${port}`,
      "listen_addresses=127.0.0.1",
      "unix_socket_directories=",
    ];
    const command = [join(bin, "postgres"), "-D", data, ...settings.flatMap((one) => ["-c", one])];
    const child = startChild([...asUser(), ...command], { log, signal: "SIGINT" });
    await listens(child, port, log);
    const sql = new SQL({
      hostname: "127.0.0.1",
      port,
      username: "postgres",
      database: "postgres",
      max: CONNECTIONS,
    });
    await ready(sql);
    return {
      pid: child.pid,
      create: () => createTable(sql),
      insert: (rows) => insertRows(sql, rows),
      settle: () => buildIndexes(sql),
      async search({ query, filter, value }) {
        const vector = `[${jsonVector(query).join(",")}]`;
        const rows: { row: number }[] = await searchRows(sql, vector, { filter, value });
        return rows.map(({ row }) => row);
      },
      async [Symbol.asyncDispose]() {
        await sql.close();
        await child[Symbol.asyncDispose]();
      },
    };
  },
};

/** Where install.sh's package has Postgres's programs. */
function binOf(install: string): string {
  const packages = join(install, "python/lib/python3*/site-packages");
  return globSync(join(packages, "pgserver/pginstall/bin"))[0] ?? "";
}

function asUser(): string[] {
  if (process.getuid?.() !== 0) return [];
  return ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
}

async function makeCluster(bin: string, data: string): Promise<void> {
  await Bun.$`mkdir -p ${data}`;
  if (process.getuid?.() === 0) await Bun.$`chown ${NOBODY}:${NOBODY} ${data}`;
  await Bun.$`${asUser()} ${join(bin, "initdb")} -D ${data} -U postgres --auth=trust --encoding=utf8`.quiet();
}

/** Resolves when a query is answered: it listens while it still starts up. */
async function ready(sql: SQL): Promise<void> {
  const deadline = performance.now() + START_MS_MAX;
  for (;;) {
    try {
      await sql`SELECT 1`;
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await Bun.sleep(5);
    }
  }
}

async function createTable(sql: SQL): Promise<void> {
  await sql`CREATE EXTENSION IF NOT EXISTS vector`;
  await sql.unsafe(
    `CREATE TABLE vectors (row integer PRIMARY KEY, embedding vector(${DIMENSIONS}), percent1 text, percent10 text)`,
  );
  await sql.unsafe(`ALTER ROLE postgres SET hnsw.ef_search = ${graph.ef}`);
}

async function insertRows(sql: SQL, rows: readonly Row[]): Promise<void> {
  const values = rows.map(({ row, vector, percent1, percent10 }) => ({
    row,
    embedding: `[${jsonVector(vector).join(",")}]`,
    percent1,
    percent10,
  }));
  await sql`INSERT INTO vectors ${sql(values)}`;
}

async function buildIndexes(sql: SQL): Promise<void> {
  const { m, efConstruction } = graph;
  const shape = `m = ${m}, ef_construction = ${efConstruction}`;
  await sql.unsafe(
    `CREATE INDEX ON vectors USING hnsw (embedding vector_cosine_ops) WITH (${shape})`,
  );
  await sql`CREATE INDEX ON vectors (percent1)`;
  await sql`CREATE INDEX ON vectors (percent10)`;
  await sql`VACUUM ANALYZE vectors`;
}

function searchRows(sql: SQL, vector: string, bound: { filter: string; value: string }) {
  const { filter, value } = bound;
  if (filter === "percent1") {
    return sql`SELECT row FROM vectors WHERE percent1 = ${value} ORDER BY embedding <=> ${vector}::vector LIMIT ${K}`;
  }
  if (filter === "percent10") {
    return sql`SELECT row FROM vectors WHERE percent10 = ${value} ORDER BY embedding <=> ${vector}::vector LIMIT ${K}`;
  }
  return sql`SELECT row FROM vectors ORDER BY embedding <=> ${vector}::vector LIMIT ${K}`;
}
