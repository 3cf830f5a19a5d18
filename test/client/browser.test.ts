import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { eventually } from "../support/process.ts";
import { startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { builtClient, type BuiltClient } from "./built-client.ts";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const hasChromium = existsSync(CHROMIUM);
if (!hasChromium) console.log(`skipped: no Chromium at ${CHROMIUM}; set CHROMIUM to one`);
const TEST_MS_MAX = 60_000;

/** What the page keeps, read by the tests as JSON. */
const PAGE = `<!doctype html><meta charset="utf-8"><title>news</title><script type="module">
import { createClient } from "/client.js";
const { url, room } = Object.fromEntries(new URLSearchParams(location.search));
const seen = { got: [], states: [], kinds: [], events: [] };
globalThis.seen = seen;
const client = createClient({ url, onState: (state) => seen.states.push(state) });
globalThis.client = client;
client.subscribeRoom(room, {
  message: ({ data }) => seen.got.push(data),
  recovered: ({ kind }) => seen.kinds.push(kind),
  gap: ({ kind }) => seen.kinds.push(kind),
});
const events = new EventSource("/api/v1/rooms/" + room + "/events");
events.addEventListener("message", ({ data, lastEventId }) => {
  seen.events.push({ data: JSON.parse(data).data, offset: Number(lastEventId.split(":").at(-1)) });
});
events.addEventListener("open", () => seen.states.push("events open"));
</script>`;

interface Seen {
  got: unknown[];
  states: string[];
  kinds: string[];
  events: { data: unknown; offset: number }[];
}

/** The page and the client on an origin of their own; what begins with /api goes on to the server, as behind a proxy. */
function servePage({ module }: BuiltClient, target: () => string) {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch(request) {
      const { pathname, search } = new URL(request.url);
      if (pathname === "/client.js") {
        return new Response(module, { headers: { "content-type": "text/javascript" } });
      }
      if (pathname === "/") return new Response(PAGE, { headers: { "content-type": "text/html" } });
      if (!pathname.startsWith("/api/")) return new Response("", { status: 404 });
      return fetch(`${target()}${pathname}${search}`, {
        headers: request.headers,
        signal: request.signal,
      }).catch(() => new Response("", { status: 502 }));
    },
  });
}

function pageUrl(origin: string, url: string): string {
  return `${origin}/?${new URLSearchParams({ url, room: "news" }).toString()}`;
}

async function openBrowser(): Promise<Browser & AsyncDisposable> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-background-networking"],
  });
  return Object.assign(browser, { [Symbol.asyncDispose]: () => browser.close() });
}

async function seenOf(page: Page): Promise<Seen> {
  return JSON.parse(await page.evaluate("JSON.stringify(globalThis.seen)"));
}

function until(page: Page, what: string, is: (seen: Seen) => boolean): Promise<Seen> {
  return eventually(what, async () => {
    const seen = await seenOf(page);
    return is(seen) ? seen : undefined;
  });
}

test.skipIf(!hasChromium)(
  "a page in a browser hears messages by socket and by event source, and outlives a restart of the server",
  async () => {
    using built = await builtClient();
    using dir = tempDir();
    let url = "";
    using pages = servePage(built, () => url);
    const env = { DATA_DIR: join(dir.path, "db"), CORS_ORIGINS: pages.url.origin };
    const first = await startServer({ env });
    ({ url } = first);
    await using browser = await openBrowser();
    const page = await browser.newPage();
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    await page.goto(pageUrl(pages.url.origin, url));
    await until(
      page,
      "both are connected",
      ({ states }) => states.includes("connected") && states.includes("events open"),
    );
    await page.evaluate("client.publish('news', 'from the page')");
    await until(page, "it is heard", ({ got, events }) => got.length === 1 && events.length === 1);

    await first[Symbol.asyncDispose]();
    await using second = await startServer({ env: { ...env, PORT: new URL(url).port } });
    for (const n of [2, 3]) await second.call("POST /api/v1/rooms/news/messages", { data: n });
    await page.evaluate("globalThis.dispatchEvent(new Event('online'))");
    const seen = await until(
      page,
      "all is heard",
      ({ got, events }) => got.length >= 3 && events.length >= 3,
    );
    expect(seen.got).toEqual(["from the page", 2, 3]);
    expect(seen.events).toEqual([
      { data: "from the page", offset: 1 },
      { data: 2, offset: 2 },
      { data: 3, offset: 3 },
    ]);
    expect(seen.kinds).toEqual(["recovered"]);
    expect(seen.states.filter((state) => state !== "events open")).toEqual([
      "connecting",
      "connected",
      "reconnecting",
      "connected",
    ]);
    expect(faults).toEqual([]);
  },
  TEST_MS_MAX,
);

test.skipIf(!hasChromium)(
  "a page of an origin that is not allowed is told so, and does not come back",
  async () => {
    using built = await builtClient();
    await using server = await startServer();
    using pages = servePage(built, () => server.url);
    await using browser = await openBrowser();
    const page = await browser.newPage();
    await page.goto(pageUrl(pages.url.origin, server.url));
    const { states } = await until(page, "it is closed", (seen) => seen.states.includes("closed"));
    expect(states.filter((state) => state !== "events open")).toEqual(["connecting", "closed"]);
  },
  TEST_MS_MAX,
);
