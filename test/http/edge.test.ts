import { describe, expect, test } from "bun:test";
import { gunzipSync } from "bun";
import { createClientAddress, networkOf } from "../../src/http/client-address.ts";
import { createRateLimit } from "../../src/http/rate-limit.ts";
import { limits } from "../../src/limits.ts";
import { Problem } from "../../src/problems.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { shakeHands } from "../live/raw-client.ts";
import { createRules, expectProblem, writeRules } from "./answers.ts";
import { openRaw } from "./raw-connection.ts";

const PAGE = "https://app.example.com";

const headersOf = (headers: Headers, ...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, headers.get(name)]));

describe("headers for browsers", () => {
  test("are on every answer, good, refused or an error", async () => {
    await using server = await startServer();
    for (const target of [
      "GET /health/live",
      "GET /api/v1/collections",
      "GET /nothing",
      "POST /api/v1/collections",
      "PUT /api/v1/collections",
    ]) {
      const { headers } = await server.call(target);
      expect([target, headersOf(headers, "x-content-type-options", "referrer-policy")]).toEqual([
        target,
        { "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" },
      ]);
      expect(headers.get("x-frame-options")).toBe("DENY");
      expect(headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(headers.has("x-request-id")).toBe(true);
    }
  });

  test("leave a page of ours its own policy", async () => {
    await using server = await startServer();
    const { headers } = await server.call("GET /api/docs");
    expect(headers.get("content-security-policy")).toContain("default-src 'self'");
  });
});

/** What a browser asks before a request that a form could not make. */
const preflight = (server: TestServer, origin: string) =>
  server.call("OPTIONS /api/v1/collections", undefined, {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type",
  });

describe("pages of other origins", () => {
  test("that are allowed may call, are told so in preflights and errors, and may read our headers", async () => {
    await using server = await startServer({ env: { CORS_ORIGINS: PAGE } });
    const asked = await preflight(server, PAGE);
    expect(asked.status).toBe(204);
    expect(asked.headers.get("access-control-allow-origin")).toBe(PAGE);
    expect(asked.headers.get("access-control-allow-methods")).toContain("DELETE");
    expect(asked.headers.get("access-control-allow-headers")).toContain("idempotency-key");
    expect(asked.headers.get("access-control-max-age")).toBe("600");
    expect(asked.headers.has("x-request-id")).toBe(true);
    for (const [target, status] of [
      ["GET /api/v1/collections", 200],
      ["GET /nothing", 404],
      ["POST /api/v1/collections", 400],
      ["PUT /api/v1/collections", 405],
    ] as const) {
      const { headers, ...answer } = await server.call(target, undefined, { origin: PAGE });
      expect([target, answer.status]).toEqual([target, status]);
      expect(headers.get("access-control-allow-origin")).toBe(PAGE);
      expect(headers.get("access-control-expose-headers")).toContain("x-request-id");
      expect(headers.get("vary")).toContain("origin");
      expect(headers.has("access-control-allow-credentials")).toBe(false);
    }
  });

  test("that are not allowed are told nothing, nor is anybody where none is", async () => {
    await using server = await startServer({ env: { CORS_ORIGINS: PAGE } });
    await using closed = await startServer();
    for (const [one, origin] of [
      [server, "https://evil.example.com"],
      [server, "null"],
      [closed, PAGE],
    ] as const) {
      for (const answer of [
        await preflight(one, origin),
        await one.call("GET /api/v1/collections", undefined, { origin }),
      ]) {
        expect(answer.headers.has("access-control-allow-origin")).toBe(false);
        expect(answer.headers.has("access-control-allow-methods")).toBe(false);
      }
    }
  });

  test("are all allowed by *, without a list of who asks in caches", async () => {
    await using server = await startServer({ env: { CORS_ORIGINS: "*" } });
    const { headers } = await server.call("GET /api/v1/collections", undefined, { origin: PAGE });
    expect(headersOf(headers, "access-control-allow-origin", "vary")).toEqual({
      "access-control-allow-origin": "*",
      vary: null,
    });
  });

  test("an OPTIONS that is no preflight is answered as any other method", async () => {
    await using server = await startServer({ env: { CORS_ORIGINS: PAGE } });
    expectProblem(await server.call("OPTIONS /api/v1/collections"), 405, "method_not_allowed");
  });
});

/** An answer as it comes over the wire. */
async function raw(server: TestServer, path: string, encoding?: string) {
  using connection = await openRaw(server.url);
  const accept = encoding === undefined ? "" : `Accept-Encoding: ${encoding}\r\n`;
  connection.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${accept}Connection: close\r\n\r\n`);
  const text = await connection.untilClosed();
  return text.slice(0, text.indexOf("\r\n\r\n")).toLowerCase();
}

describe("large answers", () => {
  test("are gzipped for whoever takes that, and are the same", async () => {
    await using server = await startServer();
    await createRules(server);
    const text = "A red flag stops the race. ".repeat(20);
    await writeRules(
      server,
      Array.from({ length: 50 }, (_, index) => ({ id: `d${index}`, text })),
    );
    const path = "/api/v1/collections/rules/documents";
    const plain = await fetch(server.url + path, { headers: { "accept-encoding": "identity" } });
    expect(plain.headers.has("content-encoding")).toBe(false);
    const small = await fetch(server.url + path, {
      headers: { "accept-encoding": "br, gzip;q=0.5" },
      decompress: false,
    });
    expect(headersOf(small.headers, "content-encoding", "vary", "content-type")).toEqual({
      "content-encoding": "gzip",
      vary: "accept-encoding",
      "content-type": plain.headers.get("content-type"),
    });
    const [whole, bytes] = [await plain.text(), await small.bytes()];
    expect(bytes.byteLength).toBeLessThan(whole.length / 4);
    expect(new TextDecoder().decode(gunzipSync(new Uint8Array(bytes)))).toBe(whole);
    const search = await fetch(`${server.url}/api/v1/collections/rules/search`, {
      method: "POST",
      headers: { "accept-encoding": "gzip", "content-type": "application/json" },
      body: JSON.stringify({ query: "flag", k: 50 }),
    });
    expect(search.headers.get("content-encoding")).toBe("gzip");
    expect(await search.json()).toMatchObject({ model: "static-256" });
  });

  test("go out as they are to others, and small ones, streams and HEAD always do", async () => {
    await using server = await startServer();
    const spec = "/api/openapi.json";
    expect(await raw(server, spec, "gzip")).toContain("content-encoding: gzip");
    for (const [path, encoding] of [
      [spec, undefined],
      [spec, "br"],
      [spec, "gzip;q=0"],
      ["/health/ready", "gzip"],
      ["/nothing", "gzip"],
    ] as const)
      expect([path, await raw(server, path, encoding)]).not.toEqual([
        path,
        expect.stringContaining("content-encoding"),
      ]);
    const events = await fetch(`${server.url}/api/v1/rooms/news/events`, {
      headers: { "accept-encoding": "gzip" },
    });
    expect(events.headers.has("content-encoding")).toBe(false);
    await events.body?.cancel();
    const head = await fetch(server.url + spec, { method: "HEAD" });
    expect([head.status, head.headers.has("content-encoding")]).toEqual([200, false]);
  });
});

/** One of many addresses. */
const address = (number: number): string =>
  `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;

describe("RATE_LIMIT", () => {
  test("refuses what is too much with 429 and when to come again, and never a probe", async () => {
    await using server = await startServer({ env: { RATE_LIMIT: "1", RATE_BURST: "3" } });
    for (let count = 0; count < 3; count++)
      expect((await server.call("GET /api/v1/collections")).status).toBe(200);
    const refused = await server.call("GET /api/v1/collections");
    expectProblem(refused, 429, "rate_limited");
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    for (const path of ["/health/live", "/health/ready", "/ready", "/health", "/metrics"])
      expect([path, (await server.call(`GET ${path}`)).status]).toEqual([path, 200]);
  });

  test("counts handshakes of live connections as it counts requests, behind a proxy too", async () => {
    const env = { RATE_LIMIT: "1", RATE_BURST: "3", TRUST_PROXY: "1" };
    await using server = await startServer({ env });
    const shake = async (client: string): Promise<string> => {
      const headers = { "X-Forwarded-For": client };
      const { socket, head } = await shakeHands(server.url, { headers });
      socket.destroy();
      return head;
    };
    const first = "203.0.113.1";
    const asked = await server.call("GET /api/v1/collections", undefined, {
      "x-forwarded-for": first,
    });
    expect(asked.status).toBe(200);
    for (let count = 0; count < 2; count++) expect(await shake(first)).toStartWith("HTTP/1.1 101 ");
    const refused = await shake(first);
    expect(refused).toStartWith("HTTP/1.1 429 ");
    expect(refused).toMatch(/retry-after: [1-9]/i);
    expect(refused).toMatch(/content-type: application\/problem\+json/i);
    expect(await shake("203.0.113.2")).toStartWith("HTTP/1.1 101 ");
    // What is no handshake counts too.
    const plain = await server.call("GET /live", undefined, { "x-forwarded-for": first });
    expectProblem(plain, 429, "rate_limited");
  });

  test("lets as many live connections in as come where it is off", async () => {
    await using server = await startServer();
    for (let count = 0; count < 150; count++) {
      const { socket, head } = await shakeHands(server.url);
      socket.destroy();
      expect(head).toStartWith("HTTP/1.1 101 ");
    }
  });

  test("is off by default", async () => {
    await using server = await startServer();
    const answers = await Promise.all(
      Array.from({ length: 300 }, () => server.call("GET /api/v1/collections")),
    );
    expect(answers.every(({ status }) => status === 200)).toBe(true);
  });

  test("counts clients behind a proxy one by one, by the address that the proxy has written", async () => {
    const env = { RATE_LIMIT: "1", RATE_BURST: "2", TRUST_PROXY: "1", LOG_LEVEL: "info" };
    await using server = await startServer({ env });
    const statuses: number[] = [];
    for (const client of ["203.0.113.1", "203.0.113.2"]) {
      for (let count = 0; count < 3; count++) {
        // What stands before the proxy's entry is the client's own invention.
        const forwarded = `198.51.100.${count}, ${client}`;
        const answer = await server.call("GET /api/v1/collections", undefined, {
          "x-forwarded-for": forwarded,
        });
        statuses.push(answer.status);
      }
    }
    expect(statuses).toEqual([200, 200, 429, 200, 200, 429]);
    expect(await server.log()).toContain('"client_ip":"203.0.113.2"');
  });

  test("gives back a request a moment, up to the burst", () => {
    let nowMs = 0;
    const take = createRateLimit({ perSecond: 2, burst: 3, nowMs: () => nowMs });
    const taken = (): number => {
      for (let count = 0; ; count++) {
        try {
          take("203.0.113.1");
        } catch (error) {
          expect(error).toBeInstanceOf(Problem);
          return count;
        }
      }
    };
    expect(taken()).toBe(3);
    nowMs += 500;
    expect(taken()).toBe(1);
    nowMs += 60_000;
    expect(taken()).toBe(3);
  });

  test("remembers a bounded number of addresses, of whom the longest unseen is forgotten", () => {
    const take = createRateLimit({ perSecond: 1, burst: 1, nowMs: () => 0 });
    for (let number = 0; number <= limits.rateAddressesMax; number++) take(address(number));
    expect(() => take(address(limits.rateAddressesMax))).toThrow();
    take(address(0));
  });
});

/** Who is taken for the client behind so many proxies. */
const via = (proxies: number, forwarded?: string) =>
  createClientAddress(proxies)(
    new Request("http://x/", {
      headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
    }),
    "127.0.0.1",
  );

describe("a client's address", () => {
  test("is the socket's where no proxy is trusted, and as far from the end as proxies are", () => {
    expect(via(0, "203.0.113.9")).toBe("127.0.0.1");
    expect(via(1)).toBe("127.0.0.1");
    expect(via(1, "203.0.113.9")).toBe("203.0.113.9");
    expect(via(1, "1.1.1.1, 203.0.113.9")).toBe("203.0.113.9");
    expect(via(2, "1.1.1.1, 203.0.113.9, 10.0.0.2")).toBe("203.0.113.9");
    expect(via(3, "203.0.113.9")).toBe("203.0.113.9");
    expect(via(1, "2001:db8::1")).toBe("2001:db8::1");
    expect(via(1, "<script>")).toBe("127.0.0.1");
  });

  test("of IPv6 counts by the 64 bits of a site", () => {
    expect(networkOf("2001:db8:1:2:3:4:5:6")).toBe("2001:db8:1:2");
    expect(networkOf("2001:DB8::1")).toBe(networkOf("2001:db8::2"));
    expect(networkOf("::1")).toBe("0:0:0:0");
    expect(networkOf("::ffff:203.0.113.9")).toBe("203.0.113.9");
    expect(networkOf("203.0.113.9")).toBe("203.0.113.9");
  });
});
