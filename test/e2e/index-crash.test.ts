import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { eventually, startServerProgram } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";
import { seededRandom } from "./distinct-documents.ts";
import {
  createWorld,
  find,
  maintain,
  remove,
  stop,
  whole,
  wordOf,
  worldState,
  write,
} from "./index-world.ts";

const SEED = 977;
const KILLS = 50;

/** Small segments: a kill then meets seals and merges. */
const SETTINGS = { INDEX_SEAL_ROWS: "100" };

/** Files that belong to no finished segment. */
function leftovers(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => /building|\.tmp$|opening/.test(name));
}

test(`${KILLS} times kill -9 while segments are sealed and merged: nothing torn, nothing lost, nothing left over (seed ${SEED})`, async () => {
  using dir = tempDir();
  const random = seededRandom(SEED);
  const options = { cwd: dir.path, env: SETTINGS };
  const acknowledged = new Set<number>();
  let next = 0;
  let whileBuilding = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    await using server = await startServerProgram("db", options);
    await createWorld(server);
    await whole(server);
    // What is replayed may be enough to be sealed at once; what an earlier life left would stay.
    await eventually("nothing is left over", () =>
      leftovers(join(dir.path, "db", "index")).length === 0 ? true : undefined,
    );
    expect(await maintain(server, "verify")).toMatchObject({ ok: true });
    const gone = [...acknowledged].filter(() => random() < 0.02);
    await remove(server, gone);
    for (const number of gone) acknowledged.delete(number);
    const numbers = Array.from({ length: 1500 }, () => next++);
    const writing = write(server, numbers);
    await eventually("a segment is being built", async () =>
      (await worldState(server)).index.building ? true : undefined,
    );
    // The moment of the kill is what is random here.
    await Bun.sleep(random() * 60);
    if ((await worldState(server)).index.building) whileBuilding++;
    server.signal("SIGKILL");
    for (const number of await writing) acknowledged.add(number);
    await server.exited;
  }
  expect(whileBuilding).toBeGreaterThan(KILLS / 4);

  await using server = await startServerProgram("db", options);
  await whole(server);
  expect(await maintain(server, "verify")).toMatchObject({ ok: true });
  const some = [...acknowledged].filter(() => random() < 0.02);
  const found = await find(
    server,
    some.map((number) => ({ query: wordOf(number), mode: "keyword", k: 2 })),
  );
  expect(found).toEqual(some.map((number) => [`d${number}`]));
  await stop(server);
  expect(leftovers(join(dir.path, "db", "index"))).toEqual([]);
}, 300_000);
