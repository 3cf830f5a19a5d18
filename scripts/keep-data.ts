/**
 * Makes a data directory that tests of later versions open: `bun scripts/keep-data.ts test/fixtures/data/v0.1`. It is as
 * small as one can be that has every kind of thing in it: embedded documents and such with vectors of their own, sealed
 * index files, an alias, a deleted document.
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openProgram } from "../src/boot/program.ts";
import { parseConfig } from "../src/config.ts";

const [folder] = process.argv.slice(2);
if (folder === undefined || existsSync(folder)) {
  console.error("usage: bun scripts/keep-data.ts NEW_FOLDER");
  process.exit(2);
}

const config = parseConfig({ DATA_DIR: folder, ENGINES: "0", DISK_FREE_MIN_MB: "0" });
{
  await using program = await openProgram(config);
  const call = async (method: string, path: string, body?: unknown): Promise<void> => {
    const request = new Request(`http://localhost/api/v1${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const response = await program.front.handle(request);
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
  };
  await call("POST", "/collections", { name: "rules", model: "static-256" });
  await call("PUT", "/aliases/book", { collection: "rules" });
  await call("POST", "/collections/rules/documents?wait=indexed", {
    documents: [
      { id: "red", title: "Flags", text: "A red flag stops the session.", metadata: { page: 1 } },
      { id: "rain", text: "In a thunderstorm the race director decides.", metadata: { page: 2 } },
      { id: "gone", text: "This rule was struck out.", metadata: { page: 3 } },
    ],
  });
  await call("POST", "/collections/rules/documents/delete", { ids: ["gone"] });
  await call("POST", "/collections", { name: "own", model: "none", dimensions: 4 });
  await call("POST", "/collections/own/documents?wait=indexed", {
    documents: [
      { id: "east", text: "East.", vector: [1, 0, 0, 0] },
      { id: "north", text: "North.", vector: [0, 1, 0, 0] },
    ],
  });
  // Seals what is in memory, so that there are index files.
  await call("POST", "/admin/compact");
}
// The lock is made anew by whoever opens the data.
rmSync(join(folder, "lock.db"), { force: true });
