import { expect, test } from "bun:test";
import { publishTo, readRoom } from "../support/live-reader.ts";
import { eventually, startServerProgram } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";

const TEST_MS_MAX = 120_000;
const CLIENTS = 1000;
const MESSAGES = 200;

async function publish(url: string, number: number): Promise<boolean> {
  const response = await publishTo(url, "news", { data: number, key: `k${number}` });
  return response.status === 201;
}

test(
  `SIGTERM under ${CLIENTS} clients: each hears that the server drains, is closed with 1001 and goes on at the next start`,
  async () => {
    using dir = tempDir();
    const env = { LOG_LEVEL: "error", ENGINES: "0" };
    let url: string;
    const readers: ReturnType<typeof readRoom>[] = [];
    const acknowledged: number[] = [];
    {
      await using server = await startServerProgram("db", { cwd: dir.path, env });
      url = server.url;
      expect(await publish(url, -1)).toBe(true);
      for (let n = 0; n < CLIENTS; n++) readers.push(readRoom(() => url, "news"));
      await eventually("all are subscribed", () =>
        readers.every(({ heard }) => heard.has("subscribed")) ? true : undefined,
      );
      for (let n = 0; n < MESSAGES; n++) if (await publish(url, n)) acknowledged.push(n);
      server.signal("SIGTERM");
      expect(await server.exited).toBe(0);
    }
    await eventually("every socket is closed", () =>
      readers.every(({ closeCodes }) => closeCodes.length > 0) ? true : undefined,
    );
    expect(readers.filter(({ heard }) => heard.get("draining") !== 1).length).toBe(0);
    expect(readers.filter(({ closeCodes }) => closeCodes[0] !== 1001).length).toBe(0);

    const { port } = new URL(url);
    await using again = await startServerProgram("db", {
      cwd: dir.path,
      env: { ...env, PORT: port },
    });
    for (let n = MESSAGES; n < 2 * MESSAGES; n++)
      if (await publish(again.url, n)) acknowledged.push(n);
    expect(acknowledged.length).toBe(2 * MESSAGES);
    await eventually("every client has all", () =>
      readers.every(({ received }) => received.length >= acknowledged.length) ? true : undefined,
    );
    for (const reader of readers) {
      reader.end();
      expect(reader.received).toEqual(acknowledged);
      expect(reader.holes).toEqual([]);
      expect(reader.resumes.every(({ recovered }) => recovered)).toBe(true);
    }
  },
  TEST_MS_MAX,
);
