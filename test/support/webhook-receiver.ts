import { createHmac, timingSafeEqual } from "node:crypto";

/** A match as a receiver reads it. */
export interface ReceivedMatch {
  offset: number;
  doc: string;
  event: string;
  score: number | null;
  data: unknown;
}

/** A request as it came. */
export interface Received {
  id: string;
  type: string;
  queryId: string;
  matches: ReceivedMatch[];
  lost: { reason: string; after: number; offset: number } | undefined;
  /** The whole body. */
  body: string;
  /** W3C Trace Context; null where there is none. */
  traceparent: string | null;
  tracestate: string | null;
  /** What it was answered with. */
  status: number;
}

/** A server that takes webhooks and checks their signatures, by code of its own. */
export interface WebhookReceiver extends AsyncDisposable {
  readonly url: string;
  /** Every request, in the order in which they came; those whose signature was wrong are counted only. */
  readonly requests: Received[];
  readonly wrongSignatures: number;
  /** Matches of the requests that it took, in the order in which they came. */
  taken(queryId?: string): ReceivedMatch[];
  /** Signatures of a query are checked with its secret. */
  trust(queryId: string, secret: string): void;
  /** What the next requests are answered with, given how many came before. */
  answer: (count: number) => number | Promise<number>;
}

export function startReceiver(): WebhookReceiver {
  const requests: Received[] = [];
  const secrets = new Map<string, string>();
  let wrongSignatures = 0;
  let count = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const body = await request.text();
      const received = read(request.headers, body);
      const secret = secrets.get(received.queryId);
      if (secret === undefined || !isSigned(request.headers, { body, secret })) {
        wrongSignatures++;
        return new Response(null, { status: 401 });
      }
      const one = { ...received, status: 0 };
      requests.push(one);
      one.status = await receiver.answer(count++);
      return new Response(null, { status: one.status });
    },
  });
  const receiver: WebhookReceiver = {
    url: `${server.url.origin}/hook`,
    requests,
    get wrongSignatures() {
      return wrongSignatures;
    },
    taken: (queryId) =>
      requests
        .filter((one) => one.status === 200 && (queryId ?? one.queryId) === one.queryId)
        .flatMap(({ matches }) => matches),
    trust: (queryId, secret) => void secrets.set(queryId, secret),
    answer: () => 200,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return receiver;
}

/** As the Standard Webhooks specification says, written without a look at the sender's code. */
function isSigned(headers: Headers, { body, secret }: { body: string; secret: string }): boolean {
  const id = headers.get("webhook-id");
  const timestamp = headers.get("webhook-timestamp");
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false;
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest();
  return (headers.get("webhook-signature") ?? "").split(" ").some((one) => {
    const given = Buffer.from(one.replace("v1,", ""), "base64");
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

function read(headers: Headers, body: string): Omit<Received, "status"> {
  const { type, data } = JSON.parse(body);
  const { query_id: queryId, matches = [], lost } = data;
  const [traceparent, tracestate] = [headers.get("traceparent"), headers.get("tracestate")];
  const id = headers.get("webhook-id") ?? "";
  return { id, type, queryId, matches, lost, body, traceparent, tracestate };
}
