import { createCollection, writeDocuments, type CollectionAt } from "../support/load-collection.ts";
import { LatencyHistogram } from "../support/load-histogram.ts";

const COLLECTION = "notes";
const MODEL = "static-256";
/** Standing queries of one connection, below what a connection may have. */
const QUERIES_PER_CONNECTION = 100;
/** A document that says the same as the query has a cosine of 1; one that shares two words of three has less than this. */
const SCORE_MIN = 0.97;
const MATCH_MS_MAX = 10_000;
/** Between two documents: writes that come one by one, as from a person or a feed. */
const PAUSE_MS = 5;

const COLOURS = "red green blue golden silver purple orange crimson violet grey".split(" ");
const THINGS =
  "river engine violin satellite bakery volcano passport glacier lantern tractor".split(" ");
const PLACES = "Norway Kenya Peru Japan Canada Egypt Iceland Mexico Vietnam Portugal".split(" ");

const modes = ["semantic", "keyword"] as const;
type Mode = (typeof modes)[number];

/** Latencies of matches of one kind of query, ms. */
export interface MatchLatency {
  matches: number;
  /** From when the writer had read the acknowledgement of its write; 0 for a match that came before. */
  fromAcknowledged: { p50Ms: number; p99Ms: number };
  /** From when the writer began to send. */
  fromSent: { p50Ms: number; p99Ms: number };
}

export type MatchReport = Record<Mode, MatchLatency>;

interface Waiting {
  sub: string;
  document: string;
  at: PromiseWithResolvers<number>;
}

const pick = (words: readonly string[], at: number): string => words[at % words.length] ?? "";

/** A text of its own for each number below 1,000. */
function textOf(number: number): string {
  return `${pick(COLOURS, number)} ${pick(THINGS, Math.floor(number / 10))} in ${pick(PLACES, Math.floor(number / 100))}`;
}

/**
 * Registers standing queries, half of them by meaning and half by words, over many sockets, and writes documents one
 * after the other; each is what one query waits for. Everything is measured where the client is.
 */
export async function measureMatches(
  url: string,
  options: { queries: number; documents: number },
): Promise<MatchReport> {
  const collection = { url, name: COLLECTION };
  await createCollection(collection, { model: MODEL });
  const watch = new Watch(url);
  try {
    for (let from = 0; from < options.queries; from += QUERIES_PER_CONNECTION) {
      await watch.open(from, Math.min(options.queries, from + QUERIES_PER_CONNECTION));
    }
    const latencies = { semantic: newLatencies(), keyword: newLatencies() };
    // The first ones warm the path.
    for (let number = -20; number < options.documents; number++) {
      const query = (Math.abs(number) * 7) % options.queries;
      const times = await writeOne(collection, watch, { query, document: `d${number}` });
      if (number >= 0) count(latencies[modeOf(query)], times);
      await Bun.sleep(PAUSE_MS);
    }
    return { semantic: summary(latencies.semantic), keyword: summary(latencies.keyword) };
  } finally {
    watch.close();
  }
}

const modeOf = (query: number): Mode => modes[query % modes.length] ?? "semantic";

interface Times {
  sent: number;
  acknowledged: number;
  matched: number;
}

async function writeOne(
  collection: CollectionAt,
  watch: Watch,
  { query, document }: { query: number; document: string },
): Promise<Times> {
  const match = watch.expect(query, document);
  const sent = performance.now();
  const written = writeDocuments(collection, [{ id: document, text: textOf(query) }]).then(() =>
    performance.now(),
  );
  const [acknowledged, matched] = await Promise.all([written, match]);
  return { sent, acknowledged, matched };
}

function newLatencies() {
  return { acknowledged: new LatencyHistogram(), sent: new LatencyHistogram() };
}

function count(latencies: ReturnType<typeof newLatencies>, times: Times): void {
  latencies.acknowledged.add(Math.max(0, times.matched - times.acknowledged) * 1000);
  latencies.sent.add((times.matched - times.sent) * 1000);
}

function summary({ acknowledged, sent }: ReturnType<typeof newLatencies>): MatchLatency {
  return {
    matches: sent.total,
    fromAcknowledged: quantiles(acknowledged),
    fromSent: quantiles(sent),
  };
}

function quantiles(latencies: LatencyHistogram): { p50Ms: number; p99Ms: number } {
  return { p50Ms: latencies.quantile(0.5) / 1000, p99Ms: latencies.quantile(0.99) / 1000 };
}

/** A frame, as far as it is read here. */
interface WatchedFrame {
  type: string;
  id?: string;
  sub?: string;
  doc?: string;
}

/** Sockets with standing queries, and the one match that is waited for. */
class Watch {
  readonly #url: string;
  readonly #sockets: WebSocket[] = [];
  readonly #subs = new Map<number, string>();
  readonly #closing = new AbortController();
  #waiting: Waiting | undefined;

  constructor(url: string) {
    this.#url = `${url.replace("http", "ws")}/live`;
  }

  /** Subscribes to the queries `from` to `to - 1` on a socket of their own; resolves when all are answered. */
  async open(from: number, to: number): Promise<void> {
    const socket = new WebSocket(this.#url);
    this.#sockets.push(socket);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let left = to - from;
    const { signal } = this.#closing;
    const cut = ({ code }: CloseEvent): void => reject(new Error(`closed with ${code}`));
    const hear = ({ data }: MessageEvent<string>): void => {
      const at = performance.now();
      const frame: WatchedFrame = JSON.parse(data);
      if (frame.type === "welcome") {
        for (let query = from; query < to; query++) socket.send(subscription(query));
      } else if (frame.type === "subscribed") {
        this.#subs.set(Number(frame.id), frame.sub ?? "");
        if (--left === 0) resolve();
      } else if (frame.type === "match") this.#matched(frame, at);
      else if (frame.type === "error") reject(new Error(data));
      else if (frame.type === "ping") socket.send('{"type":"pong"}');
    };
    socket.addEventListener("close", cut, { signal });
    socket.addEventListener("message", hear, { signal });
    await promise;
  }

  /** The time at which a query's match of a document comes. */
  async expect(query: number, document: string): Promise<number> {
    const at = Promise.withResolvers<number>();
    this.#waiting = { sub: this.#subs.get(query) ?? "", document, at };
    const late = (): void => at.reject(new Error(`no match of ${document} for query ${query}`));
    const timer = setTimeout(late, MATCH_MS_MAX);
    return at.promise.finally(() => clearTimeout(timer));
  }

  #matched({ sub, doc }: WatchedFrame, at: number): void {
    const waiting = this.#waiting;
    if (waiting?.sub === sub && waiting?.document === doc) waiting?.at.resolve(at);
  }

  close(): void {
    this.#closing.abort();
    for (const socket of this.#sockets) socket.terminate();
  }
}

function subscription(query: number): string {
  const mode = modeOf(query);
  const score = mode === "semantic" ? { min_score: SCORE_MIN } : {};
  return JSON.stringify({
    type: "subscribe",
    id: String(query),
    query: { text: textOf(query), collection: COLLECTION, mode, ...score },
  });
}
