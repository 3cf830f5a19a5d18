import { expect, test } from "bun:test";
import { join } from "node:path";
import { startServer } from "../support/server.ts";
import { builtClient } from "./built-client.ts";

const PROGRAM = `
import { createClient } from "./index.js";
const client = createClient({ url: process.argv[2] });
const room = client.subscribeRoom("news");
await room.ready();
const events = room[Symbol.asyncIterator]();
const { offset } = await client.publish("news", { from: process.version });
for await (const event of events) {
  if (event.kind !== "message") continue;
  console.log(JSON.stringify({ offset, heard: event.offset, data: event.data }));
  break;
}
console.log((await client.http.rooms.history("news")).items.length);
client.close();
`;

/** How to run Node here with a WebSocket of its own; undefined where there is no such Node. */
function nodeCommand(): string[] | undefined {
  const node = Bun.which("node");
  if (node === null) return undefined;
  const major = Number(/^v(\d+)/.exec(Bun.spawnSync([node, "--version"]).stdout.toString())?.[1]);
  if (major >= 22) return [node];
  return major >= 20 ? [node, "--experimental-websocket"] : undefined;
}

const node = nodeCommand();
if (node === undefined) console.log("skipped: Node 20 or newer is not here to run the client in");

test.skipIf(node === undefined)("the built package runs under Node and lets it end", async () => {
  await using server = await startServer();
  using built = await builtClient();
  await Bun.write(join(built.dir, "package.json"), '{"type":"module"}');
  await Bun.write(join(built.dir, "program.js"), PROGRAM);
  const child = Bun.spawn([...(node ?? []), "program.js", server.url], {
    cwd: built.dir,
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = await child.stdout.text();
  const errors = await child.stderr.text();
  expect(await child.exited, errors).toBe(0);
  const [first = "", second] = output.split("\n");
  expect(JSON.parse(first)).toMatchObject({ offset: 1, heard: 1 });
  expect(second).toBe("1");
});
