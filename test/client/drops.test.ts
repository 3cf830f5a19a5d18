import { expect, test } from "bun:test";
import { createClientIn, type Client } from "../../client/src/client.ts";
import { systemEnvironment, type Environment } from "../../client/src/environment.ts";
import { eventually } from "../support/process.ts";
import { startServer } from "../support/server.ts";

const MESSAGES = 400;
const DROPS = 12;

/** Real sockets and time, no wait before a try, and a way to cut whatever socket there is, as a network would. */
function cuttable(): { environment: Environment; cut(): void } {
  let latest: WebSocket | undefined;
  return {
    environment: {
      ...systemEnvironment(),
      random: () => 0,
      socket: (url) => (latest = new WebSocket(url)),
    },
    cut: () => latest?.terminate(),
  };
}

async function connectedAgain(client: Client): Promise<void> {
  await eventually("connected", () => (client.state === "connected" ? true : undefined), {
    everyMs: 1,
  });
}

test("cut again and again, a reader hears every message once and in order, and a writer writes each once", async () => {
  await using server = await startServer();
  const [readerNet, writerNet] = [cuttable(), cuttable()];
  const reader = createClientIn({ url: server.url }, readerNet.environment);
  const writer = createClientIn({ url: server.url }, writerNet.environment);
  const offsets: number[] = [];
  const told: unknown[] = [];
  const gaps: string[] = [];
  const subscription = reader.subscribeRoom("busy", {
    message({ offset, data }) {
      offsets.push(offset);
      told.push(data);
    },
    gap: ({ reason }) => gaps.push(reason),
  });
  await subscription.ready();
  await writer.connect();
  for (let drop = 0; drop < DROPS; drop++) {
    const each = MESSAGES / DROPS;
    const first = Math.round(drop * each);
    const last = Math.round((drop + 1) * each);
    const published: Promise<unknown>[] = [];
    for (let n = first; n < last; n++) published.push(writer.publish("busy", n));
    // Half of the time with publications under way, and half with the reader in the middle of a replay.
    (drop % 2 === 0 ? writerNet : readerNet).cut();
    await Promise.all(published);
    readerNet.cut();
    await Promise.all([connectedAgain(reader), connectedAgain(writer)]);
  }
  await eventually("all are heard", () => (told.length >= MESSAGES ? true : undefined));
  expect(offsets).toEqual(Array.from({ length: MESSAGES }, (_, n) => n + 1));
  expect(new Set(told).size).toBe(MESSAGES);
  expect(gaps).toEqual([]);
  expect(subscription.position?.offset).toBe(MESSAGES);
  reader.close();
  writer.close();
});
