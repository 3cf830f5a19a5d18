import { expect, test } from "bun:test";
import { CreatedStandingQuerySchema } from "../../src/contract/standing-queries.ts";
import { eventually, startServerProgram, type ServerProgram } from "../support/process.ts";
import { shaped } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { startReceiver, type WebhookReceiver } from "../support/webhook-receiver.ts";

const TEST_MS_MAX = 180_000;
const REQUESTS = 90;
const PER_REQUEST = 10;
/** Requests after which the server is killed, while the next one is under way. */
const KILLS = [12, 40, 70];
const RETRY_MS = 50;

/** Every other document is about ferries. */
function documentOf(number: number) {
  const text = number % 2 === 0 ? "The ferry is late" : "The train is late";
  return { id: `d${number}`, text };
}

function post(url: string, path: string, body: unknown): Promise<Response> {
  return fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** Writes documents until they are acknowledged. */
function write(url: () => string, first: number): Promise<true> {
  const documents = Array.from({ length: PER_REQUEST }, (_, index) => documentOf(first + index));
  const once = async (): Promise<true | undefined> => {
    try {
      const response = await post(url(), "/api/v1/collections/news/documents", { documents });
      await response.body?.cancel();
      return response.ok ? true : undefined;
    } catch {
      // The server is away.
      return undefined;
    }
  };
  return eventually(`documents from ${first} are acknowledged`, once, { everyMs: RETRY_MS });
}

async function makeQuery(
  url: string,
  receiver: WebhookReceiver,
  query: Record<string, unknown>,
): Promise<string> {
  const response = await post(url, "/api/v1/standing-queries", {
    collection: "news",
    webhook: { url: receiver.url },
    ...query,
  });
  const { id, webhook } = shaped(CreatedStandingQuerySchema, await response.json());
  receiver.trust(id, webhook?.secret ?? "");
  return id;
}

/** Documents as a receiver has them that passes over what it has had: an offset that is not past the last one's. */
function inOrder(receiver: WebhookReceiver, id: string): string[] {
  let last = 0;
  return receiver.taken(id).flatMap(({ offset, doc }) => {
    if (offset <= last) return [];
    last = offset;
    return [doc];
  });
}

test(
  `every match arrives at a webhook that fails now and then, over ${KILLS.length} times kill -9: none is lost, signatures are good, the order is kept`,
  async () => {
    using dir = tempDir();
    await using receiver = startReceiver();
    // Every third request fails when it first comes, and the same comes again.
    const seen = new Set<string>();
    receiver.answer = (count) => {
      const id = receiver.requests[count]?.id ?? "";
      const isNew = !seen.has(id);
      seen.add(id);
      return isNew && seen.size % 3 === 0 ? 500 : 200;
    };
    const env = { LOG_LEVEL: "error", ENGINES: "0", WEBHOOK_PRIVATE_ADDRESSES: "true" };
    let server: ServerProgram = await startServerProgram("db", { cwd: dir.path, env });
    await using _last = { [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
    const { url } = server;
    const { port: PORT } = new URL(url);
    await post(url, "/api/v1/collections", { name: "news", model: "static-256" });
    const words = await makeQuery(url, receiver, { text: "ferry", mode: "keyword" });
    const meaning = await makeQuery(url, receiver, {
      text: "a boat that is late",
      mode: "semantic",
      min_score: -1,
    });

    for (let request = 0; request < REQUESTS; request++) {
      const writing = write(() => url, request * PER_REQUEST);
      if (KILLS.includes(request)) {
        server.signal("SIGKILL");
        await server.exited;
        server = await startServerProgram("db", { cwd: dir.path, env: { ...env, PORT } });
      }
      await writing;
    }

    const all = Array.from({ length: REQUESTS * PER_REQUEST }, (_, number) => `d${number}`);
    const ferries = all.filter((_, number) => number % 2 === 0);
    const arrived = (id: string, documents: readonly string[]) =>
      eventually(`${documents.length} matches arrive`, () => {
        const got = new Set(receiver.taken(id).map(({ doc }) => doc));
        return documents.every((document) => got.has(document)) ? true : undefined;
      });
    await arrived(words, ferries);
    await arrived(meaning, all);
    // What was written twice, because its acknowledgement was lost, may be told of twice.
    expect(inOrder(receiver, words).filter(isFirst)).toEqual(ferries);
    expect(inOrder(receiver, meaning).filter(isFirst)).toEqual(all);
    expect(receiver.wrongSignatures).toBe(0);
    expect(receiver.requests.some(({ status }) => status === 500)).toBe(true);
  },
  TEST_MS_MAX,
);

function isFirst(document: string, index: number, all: readonly string[]): boolean {
  return all.indexOf(document) === index;
}
