import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  createWebhookSender,
  type SenderOptions,
  type WebhookMessage,
} from "../../../src/standing-queries/webhook-sender.ts";
import { newSecret } from "../../../src/standing-queries/webhook-signature.ts";

const FIXTURES = join(import.meta.dir, "../../fixtures/tls");
/** Of `hook.example.com`, signed by itself. */
const cert = await Bun.file(join(FIXTURES, "receiver.crt")).text();
const key = await Bun.file(join(FIXTURES, "receiver.key")).text();

type Answer = (request: Request) => Response | Promise<Response>;

function serve(fetch: Answer, tls?: { cert: string; key: string }) {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch,
    ...(tls === undefined ? {} : { tls }),
  });
  return { port: server.port, [Symbol.asyncDispose]: () => server.stop(true) };
}

function message(url: string, rest: Partial<WebhookMessage> = {}): WebhookMessage {
  const { signal } = new AbortController();
  const made = { id: "msg_1", url, secret: newSecret(), body: '{"a":1}', attempts: 0 };
  return { ...made, atMs: Date.now(), signal, ...rest };
}

const addressesOf = async (): Promise<string[]> => ["127.0.0.1"];

/** The failure of a host with an address that is not sent to. */
const notPublic = (reason: string) => ({
  kind: "failed" as const,
  error: `its host has an address that is not of the public internet (${reason})`,
  errorType: "private_address",
});

/** The failure of a request that was answered so. */
const failed = (status: number) => ({
  kind: "failed" as const,
  error: `it answered ${status}`,
  errorType: String(status),
  status,
});

function sender(options: Partial<SenderOptions> = {}) {
  return createWebhookSender({ privateAddresses: true, ...options });
}

describe("a webhook request", () => {
  test("goes to the address that was checked, with its host's name for the certificate", async () => {
    const asked: string[] = [];
    const hosts: (string | null)[] = [];
    await using receiver = serve(
      (request) => {
        hosts.push(request.headers.get("host"));
        return new Response("ok");
      },
      { cert, key },
    );
    // No resolver knows the name: only who connects to what was found here gets there.
    const send = sender({
      ca: cert,
      addressesOf: async (host) => (asked.push(host), ["127.0.0.1"]),
    });
    const url = `https://hook.example.com:${receiver.port}/hook?x=1`;
    expect(await send(message(url))).toEqual({ kind: "taken", status: 200 });
    expect(asked).toEqual(["hook.example.com"]);
    expect(hosts).toEqual([`hook.example.com:${receiver.port}`]);
  });

  test("is not sent where the certificate is another's, or nobody's", async () => {
    let requests = 0;
    await using receiver = serve(() => (requests++, new Response()), { cert, key });
    const other = message(`https://other.example.com:${receiver.port}/`);
    expect(await sender({ ca: cert, addressesOf })(other)).toEqual({
      kind: "failed",
      error: "it could not be reached (ERR_TLS_CERT_ALTNAME_INVALID)",
      errorType: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
    const own = message(`https://hook.example.com:${receiver.port}/`);
    expect(await sender({ addressesOf })(own)).toMatchObject({
      kind: "failed",
      error: "it could not be reached (DEPTH_ZERO_SELF_SIGNED_CERT)",
    });
    expect(requests).toBe(0);
  });

  test("is not sent where one of the host's addresses is private, though it had none when it was made", async () => {
    let requests = 0;
    await using receiver = serve(() => (requests++, new Response()));
    const answers = [["1.1.1.1", "127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"], []];
    const send = sender({
      privateAddresses: false,
      addressesOf: async () => answers.shift() ?? [],
    });
    const url = `https://rebound.example.com:${receiver.port}/`;
    const errors = [1, 2, 3, 4].map(async () => send(message(url)));
    expect(await Promise.all(errors)).toEqual([
      notPublic("loopback"),
      notPublic("loopback"),
      notPublic("link-local"),
      { kind: "failed", error: "its host has no address", errorType: "no_address" },
    ]);
    const literal = message(`http://127.0.0.1:${receiver.port}/`);
    expect(await send(literal)).toEqual(notPublic("loopback"));
    expect(await send(message("https://localhost/"))).toMatchObject({ kind: "failed" });
    expect(requests).toBe(0);
  });

  test("goes to another of the host's addresses after a failure", async () => {
    await using receiver = serve(() => new Response());
    const send = sender({ addressesOf: async () => ["127.0.0.2", "127.0.0.1"] });
    const url = `http://two.example.com:${receiver.port}/`;
    expect(await send(message(url))).toMatchObject({ kind: "failed" });
    expect(await send(message(url, { attempts: 1 }))).toEqual({ kind: "taken", status: 200 });
  });

  test("comes to what its answer's status says", async () => {
    await using receiver = serve((request) => {
      const status = Number(new URL(request.url).pathname.slice(1));
      return new Response(null, { status, headers: { "retry-after": "7", location: "/200" } });
    });
    const send = sender();
    const of = (status: number) => send(message(`http://127.0.0.1:${receiver.port}/${status}`));
    const taken = { kind: "taken" as const, status: 200 };
    expect(await Promise.all([200, 201, 204].map(of))).toEqual([
      taken,
      { ...taken, status: 201 },
      { ...taken, status: 204 },
    ]);
    expect(await of(410)).toEqual({ kind: "gone", status: 410 });
    expect(await of(302)).toEqual({
      kind: "failed",
      error: "it answered 302: redirects are not followed",
      errorType: "302",
      status: 302,
    });
    expect(await of(500)).toEqual(failed(500));
    expect(await of(429)).toEqual({ ...failed(429), askedMs: 7000 });
    expect(await of(503)).toEqual({ ...failed(503), askedMs: 7000 });
  });

  test("reads nothing of an answer, however long that is", async () => {
    let megabytes = 0;
    const { promise: cancelled, resolve } = Promise.withResolvers<void>();
    const endless = () =>
      new ReadableStream({
        pull(controller) {
          megabytes++;
          controller.enqueue(new Uint8Array(1024 * 1024));
        },
        cancel: () => resolve(),
      });
    await using receiver = serve(() => new Response(endless()));
    const send = sender();
    expect(await send(message(`http://127.0.0.1:${receiver.port}/`))).toEqual({
      kind: "taken",
      status: 200,
    });
    await cancelled;
    expect(megabytes).toBeLessThan(64);
  });

  test("is over after a time, whether it is the answer or the name that does not come", async () => {
    const { promise: never } = Promise.withResolvers<never>();
    await using receiver = serve(() => never);
    const late = {
      kind: "failed" as const,
      error: "no answer within 0.05 s",
      errorType: "timeout",
    };
    const url = `http://127.0.0.1:${receiver.port}/`;
    expect(await sender({ timeoutMs: 50 })(message(url))).toEqual(late);
    const named = message("http://slow.example.com/");
    expect(await sender({ timeoutMs: 50, addressesOf: () => never })(named)).toEqual(late);
  });

  test("can be ended, and fails where nobody listens or the name is nobody's", async () => {
    const { promise: never } = Promise.withResolvers<never>();
    await using receiver = serve(() => never);
    const abort = new AbortController();
    const url = `http://127.0.0.1:${receiver.port}/`;
    const sent = sender()(message(url, { signal: abort.signal }));
    abort.abort();
    expect(await sent).toMatchObject({ kind: "failed" });
    expect(await sender()(message("http://127.0.0.1:1/"))).toEqual({
      kind: "failed",
      error: "it could not be reached (ECONNREFUSED)",
      errorType: "ECONNREFUSED",
    });
    expect(await sender()(message("https://nobody.invalid/"))).toMatchObject({ kind: "failed" });
  });
});
