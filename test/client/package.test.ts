import { expect, test } from "bun:test";
import { join } from "node:path";
import { builtClient } from "./built-client.ts";

/** A page loads it before it can show anything. Stored standing queries took it past 8 KB. */
const GZIP_BYTES_MAX = 9000;

const PROGRAM = `
import { createClient, SlipstreamError, type Message } from "./index.js";
const client = createClient({ url: "http://127.0.0.1:8000" });
const room = client.subscribeRoom("news", {
  parse: (data) => String(data),
  message: ({ data }) => data.toUpperCase(),
});
client.subscribeRoom("hall", { presence: ({ count }) => count.toFixed(0), withPresence: true });
const query = { text: "storm", collection: "notes", mode: "hybrid", min_score: 0.4 } as const;
client.subscribeQuery(query, { match: ({ doc, score }) => doc + score });
for await (const event of room) {
  if (event.kind === "message") {
    const message: Message<string> = event;
    console.log(message.data.length);
  }
}
const hits: string[] = (await client.http.search("notes", { query: "storm" })).hits.map(({ id }) => id);
console.log(hits, new SlipstreamError("x", "y").status?.toFixed(0));
// @ts-expect-error Data that nobody parsed is unknown.
client.subscribeRoom("raw", { message: ({ data }) => data.length });
`;

test(`the package is one module of less than ${GZIP_BYTES_MAX} bytes by gzip, that imports nothing`, async () => {
  using built = await builtClient();
  expect(Bun.gzipSync(built.module, { level: 9 }).length).toBeLessThan(GZIP_BYTES_MAX);
  expect(built.output).toContain("by gzip");
  expect(new Bun.Transpiler({ loader: "js" }).scanImports(built.module)).toEqual([]);
});

test("its declarations are enough for a strict program that knows neither Bun nor Node", async () => {
  using built = await builtClient();
  await Bun.write(join(built.dir, "program.ts"), PROGRAM);
  const compiler = join(import.meta.dir, "../../node_modules/typescript/bin/tsc");
  const flags = "--noEmit --strict --exactOptionalPropertyTypes --module esnext --target es2022";
  const { exitCode, stdout } =
    await Bun.$`${process.execPath} ${compiler} ${flags.split(" ")} --moduleResolution bundler --lib es2022,dom --types "" program.ts`
      .cwd(built.dir)
      .nothrow()
      .quiet();
  expect(stdout.toString()).toBe("");
  expect(exitCode).toBe(0);
});
