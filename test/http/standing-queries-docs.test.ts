import { expect, test } from "bun:test";
import { join } from "node:path";
import {
  CreatedStandingQuerySchema,
  StandingQuerySchema,
} from "../../src/contract/standing-queries.ts";
import { pageOf } from "../../src/contract/shared.ts";
import { newSecret, signatureHeaders } from "../../src/standing-queries/webhook-signature.ts";
import { eventually, startProgram, type RunningProgram } from "../support/process.ts";
import { shaped, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { read } from "./answers.ts";

const PAGE = join(import.meta.dir, "../../docs/standing-queries.md");
const SHOWN_URL = "127.0.0.1:8000";

/** The first fenced block of a language in the page. */
async function blockOf(language: string): Promise<string> {
  const text = await Bun.file(PAGE).text();
  const block = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "ms").exec(text)?.[1];
  if (block === undefined) throw new Error(`the page has no ${language}`);
  return block;
}

const python = Bun.which("python3");
if (python === null) console.log("skipped: there is no python3");

const RECEIVERS = [
  { language: "ts", file: "receiver.ts", command: process.execPath },
  { language: "python", file: "receiver.py", command: python },
] as const;

const lines = (program: RunningProgram): string[] => program.stdout().trim().split("\n").slice(1);

for (const { language, file, command } of RECEIVERS) {
  test.skipIf(command === null)(
    `the receiver in ${language} prints each match once, and refuses what is not signed`,
    async () => {
      using dir = tempDir();
      await Bun.write(join(dir.path, file), await blockOf(language));
      const secret = newSecret();
      await using program = startProgram([file], {
        cwd: dir.path,
        env: { WEBHOOK_SECRET: secret, PORT: "0" },
        command: [command ?? ""],
      });
      const port = await eventually("it listens", () => {
        return /^listening on (\d+)$/m.exec(program.stdout())?.[1];
      });
      const url = `http://127.0.0.1:${port}/hook`;
      await using server = await startServer({ env: { WEBHOOK_PRIVATE_ADDRESSES: "true" } });
      await server.call("POST /api/v1/collections", { name: "news", model: "static-256" });
      const query = { collection: "news", text: "ferry", mode: "keyword" };
      const body = { ...query, webhook: { url, secret } };
      const { id } = read(
        CreatedStandingQuerySchema,
        await server.call("POST /api/v1/standing-queries", body),
      );
      for (const doc of ["a", "b"]) {
        const documents = [{ id: doc, text: "The ferry is late" }];
        await server.call("POST /api/v1/collections/news/documents", { documents });
      }
      await eventually("both are settled", async () => {
        const shown = await server.call(`GET /api/v1/standing-queries/${id}`);
        return read(StandingQuerySchema, shown).webhook?.delivered === 2 ? true : undefined;
      });
      expect(lines(program)).toEqual(["insert a", "insert b"]);

      const data = {
        query_id: "sq_x",
        epoch: "e",
        matches: [{ offset: 7, event: "leave", doc: "c" }],
      };
      const match = JSON.stringify({ type: "standing_query.matched", data });
      const send = async (text: string, key = secret, atMs = Date.now()): Promise<number> => {
        const headers = signatureHeaders({ id: "msg_1", body: text, atMs }, key);
        return (await fetch(url, { method: "POST", headers, body: text })).status;
      };
      expect(await send(match, newSecret())).toBe(401);
      expect(await send(match, secret, Date.now() - 400_000)).toBe(401);
      expect([await send(match), await send(match)]).toEqual([204, 204]);
      const lost = {
        query_id: "sq_x",
        epoch: "e",
        lost: { reason: "too_old", after: 7, offset: 9 },
      };
      expect(await send(JSON.stringify({ type: "standing_query.lost", data: lost }))).toBe(204);
      await eventually("it has printed that", () => (lines(program).length > 3 ? true : undefined));
      expect(lines(program).slice(2)).toEqual(["leave c", "lost: too_old"]);
    },
    30_000,
  );
}

test("the lines of curl make a stored query and list it", async () => {
  await using server = await startServer();
  await server.call("POST /api/v1/collections", { name: "news", model: "static-256" });
  const block = (await blockOf("sh")).replaceAll(SHOWN_URL, new URL(server.url).host);
  const child = Bun.spawn(["sh", "-ec", block.replaceAll("\n", "\necho\n")], { stdout: "pipe" });
  const [made = "", listed = ""] = (await child.stdout.text()).trim().split("\n");
  const { id, webhook } = shaped(CreatedStandingQuerySchema, JSON.parse(made));
  expect(webhook?.url).toBe("https://hooks.example.com/ferries");
  const { items } = shaped(pageOf(StandingQuerySchema), JSON.parse(listed));
  expect(items.map((item) => item.id)).toEqual([id]);
});
