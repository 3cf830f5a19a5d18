import { expect, test } from "bun:test";
import { join } from "node:path";
import { eventually } from "../support/process.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

const ROOT = join(import.meta.dir, "../..");
const SHOWN_URL = "127.0.0.1:8000";
const TEST_MS_MAX = 60_000;

/** The fenced blocks of a language in a page, as they would run against that server. */
async function blocks(page: string, language: string, server: TestServer): Promise<string[]> {
  const text = await Bun.file(join(ROOT, page)).text();
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(
    ([, block = ""]) => block.replaceAll(SHOWN_URL, new URL(server.url).host),
  );
}

async function run(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe" });
  const output = await child.stdout.text();
  const errors = await child.stderr.text();
  expect(await child.exited, errors).toBe(0);
  return output;
}

test(
  "the examples of the client's README run and print what they say",
  async () => {
    await using server = await startServer();
    using dir = tempDir();
    const examples = await blocks("client/README.md", "ts", server);
    const entry = JSON.stringify(join(ROOT, "client/src/index.ts"));
    const printed: string[] = [];
    for (const [index, example] of examples.entries()) {
      const path = join(dir.path, `example-${index}.ts`);
      await Bun.write(path, example.replace('"slipstream-client"', entry));
      printed.push(await run([process.execPath, path]));
    }
    const [rooms = "", since, queries, http] = printed;
    expect(rooms).toContain("published as 1");
    expect(rooms).toContain("The ferry is late");
    expect(since).toBe('missed {"id":2}\n');
    expect(queries).toBe("insert 1 1\nharb: 1\n");
    expect(http).toStartWith("404 collection_not_found ");
    expect(printed.length).toBe(4);
  },
  TEST_MS_MAX,
);

test("the lines of curl publish, read, look who is there and configure", async () => {
  await using server = await startServer();
  const [lines = ""] = await blocks("docs/live.md", "sh", server);
  const printed = await run(["sh", "-ec", lines.replaceAll("\n", "\necho\n")]);
  const [published, history, presence, configured] = printed
    .split("\n")
    .filter((line) => line !== "")
    .map((line): unknown => JSON.parse(line));
  expect(published).toMatchObject({ offset: 1 });
  expect(history).toMatchObject({ items: [{ data: { headline: "The ferry is late" } }], head: 1 });
  expect(presence).toMatchObject({ count: 0 });
  expect(configured).toMatchObject({ name: "news", history_messages: 5000 });
});

/** A Python that has the package of the example. */
function pythonWithWebsockets(): string | undefined {
  const python = process.env["PYTHON"] ?? Bun.which("python3") ?? "python3";
  const has = Bun.spawnSync(["sh", "-c", `"${python}" -c "import websockets"`]);
  return has.exitCode === 0 ? python : undefined;
}

const python = pythonWithWebsockets();
if (python === undefined) {
  console.log("skipped: no Python with the package websockets; set PYTHON to one that has it");
}

function publish(server: TestServer, data: string) {
  return server.call("POST /api/v1/rooms/news/messages", { data });
}

test.skipIf(python === undefined)(
  "the Python reader hears a room, and goes on over a restart of the server",
  async () => {
    using dir = tempDir();
    const env = { DATA_DIR: join(dir.path, "db") };
    const first = await startServer({ env });
    const [program = ""] = await blocks("docs/live.md", "python", first);
    const path = join(dir.path, "reader.py");
    await Bun.write(path, program);
    const url = first.url.replace("http", "ws");
    const child = Bun.spawn([python ?? "", path, url, "news"], { stdout: "pipe" });
    let printed = "";
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const part of child.stdout) printed += decoder.decode(part, { stream: true });
    })();
    await eventually("it listens", async () => {
      await publish(first, "knock");
      return printed.includes("knock") ? true : undefined;
    });
    await first[Symbol.asyncDispose]();
    const { port } = new URL(first.url);
    await using second = await startServer({ env: { ...env, PORT: port } });
    await publish(second, "after the restart");
    await eventually("it goes on", () =>
      printed.includes("after the restart") ? true : undefined,
    );
    child.kill();
    await reading;
    const offsets = printed
      .trim()
      .split("\n")
      .map((line) => Number(line.split(" ")[0]));
    expect(offsets).toEqual(offsets.map((_, index) => (offsets[0] ?? 0) + index));
  },
  TEST_MS_MAX,
);
