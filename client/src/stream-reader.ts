import { SlipstreamError } from "./error.ts";
import type { StreamEvent } from "./events.ts";
import type { ClientRequest, ReplyFrame, ServerFrame, Subscribed } from "./frames.ts";
import type { Request } from "./requests.ts";
import { judgeOffset } from "./tracker.ts";
import type { Position } from "./values.ts";

export type StreamFrame = Extract<ServerFrame, { sub: string }>;
export type DataFrame = Extract<ServerFrame, { type: "message" | "match" }>;
/** The server let go of a subscription and may take it again: what could not be read may have been passed by. */
const ASK_AGAIN: ReadonlySet<string> = new Set(["unrecoverable", "internal", "unavailable"]);

type SubscribeRequest = Extract<ClientRequest, { type: "subscribe" }>;

/** What is subscribed to, and what its frames become. */
export interface StreamKind<F> {
  /** Two of one key cannot be open at once: the server knows a connection's streams by name. */
  key: string;
  request: Omit<SubscribeRequest, "type" | "since" | "history">;
  /** Every offset is given, so that a jump is a loss. */
  dense: boolean;
  /** Undefined where there is nothing to tell. */
  event(frame: DataFrame | Extract<ServerFrame, { type: "presence" }>): F | undefined;
}

/** What a reader needs of its client. */
export interface ReaderHost {
  add(request: Request): string;
  connected(): boolean;
  /** Calls after the wait of that try; the result calls it off. */
  later(attempt: number, call: () => void): () => void;
  /** Frames of that name go to this reader. */
  hear(name: string, reader: LiveReader): void;
  unhear(name: string): void;
  /** The server has forgotten it, so its key is free. */
  gone(reader: LiveReader): void;
}

/** What a reader tells its subscription. */
export interface ReaderSink<F> {
  emit(event: F | StreamEvent): void;
  ready(frame: Subscribed): void;
  ended(error: SlipstreamError | undefined): void;
}

/** What a client tells its readers. */
export interface LiveReader {
  readonly key: string;
  readonly ended: boolean;
  opened(): void;
  lost(): void;
  take(frame: StreamFrame): void;
  end(error: SlipstreamError | undefined): void;
}

export interface StreamReaderOptions<F> {
  kind: StreamKind<F>;
  host: ReaderHost;
  sink: ReaderSink<F>;
  /** Where an earlier reader stood: what came since is told first. */
  since?: Position | undefined;
  /** Without `since`: so many of the latest publications are told first. */
  history?: number | undefined;
}

/** Keeps one stream's place over any number of connections: resumes, finds holes, drops what came twice. */
export class StreamReader<F> implements LiveReader {
  readonly #options: StreamReaderOptions<F>;
  #phase: "waiting" | "asked" | "live" | "leaving" = "waiting";
  #wanted = true;
  #ended = false;
  #epoch = "";
  #last: number | undefined;
  /** A resume from here was asked for because of a hole: if the hole is still there, it stays. */
  #mendedAfter: number | undefined;
  #names: string[] = [];
  #attempts = 0;
  #endWait: (() => void) | undefined;

  constructor(options: StreamReaderOptions<F>) {
    this.#options = options;
    this.#epoch = options.since?.epoch ?? "";
    this.#last = options.since?.offset;
  }

  get key(): string {
    return this.#options.kind.key;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get position(): Position | undefined {
    return this.#last === undefined ? undefined : { epoch: this.#epoch, offset: this.#last };
  }

  /** There is a connection, or the stream is wanted again. */
  opened(): void {
    if (this.#phase !== "waiting" || this.#endWait !== undefined) return;
    if (!this.#wanted || this.#ended) return;
    if (this.#options.host.connected()) this.#ask();
  }

  lost(): void {
    this.#endWait?.();
    this.#endWait = undefined;
    this.#silence();
    this.#phase = "waiting";
    if (this.#ended) this.#options.host.gone(this);
  }

  /** Steps back from the server and keeps its place. */
  pause(): void {
    this.#wanted = false;
    if (this.#phase === "live") this.#leave();
  }

  resume(): void {
    this.#wanted = true;
    this.opened();
  }

  end(error: SlipstreamError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endWait?.();
    if (this.#phase === "live") this.#leave();
    else if (this.#phase === "waiting") this.#options.host.gone(this);
    this.#options.sink.ended(error);
  }

  take(frame: StreamFrame): void {
    if (this.#phase !== "live") return;
    switch (frame.type) {
      case "message":
      case "match":
        return this.#data(frame);
      case "presence":
        return this.#tell(frame);
      case "caught_up":
        return this.#caughtUp(frame.offset);
      case "progress":
        if (!this.#options.kind.dense) this.#reach(frame.offset);
        return;
      case "unsubscribed":
        return this.#letGo(frame.code ?? "closed", frame.message ?? "The server ended it.");
      // An answer to a request, which has it.
      case "subscribed":
    }
  }

  #ask(): void {
    const { host, kind, history } = this.#options;
    const since = this.position;
    this.#phase = "asked";
    const place = since === undefined ? (history === undefined ? {} : { history }) : { since };
    host.add({
      frame: () => ({ type: "subscribe", ...kind.request, ...place }),
      resend: false,
      replied: (frame) => this.#subscribed(frame, since),
      failed: (error) => this.#refused(error),
    });
  }

  #subscribed(frame: ReplyFrame, since: Position | undefined): void {
    if (frame.type !== "subscribed") return;
    const { host, kind, sink } = this.#options;
    this.#phase = "live";
    this.#names = [frame.sub];
    if (kind.request.presence === true) this.#names.push(`p:${kind.request.room ?? ""}`);
    // It was ended, or held up, while the server thought about it.
    if (this.#ended || !this.#wanted) return this.#leave();
    for (const name of this.#names) host.hear(name, this);
    this.#epoch = frame.epoch;
    // With a replay ahead the place is where its first frame stands.
    if (since === undefined) this.#last = frame.replay > 0 ? undefined : frame.offset;
    else if (!frame.recovered) this.#last = frame.offset;
    sink.ready(frame);
    if (since === undefined) return;
    if (frame.recovered) return sink.emit({ kind: "recovered", replay: frame.replay });
    const reason = frame.reason ?? "too_old";
    sink.emit({ kind: "gap", reason, from: since.offset, to: frame.offset });
  }

  #refused(error: SlipstreamError): void {
    this.#phase = "waiting";
    if (error.code === "disconnected") return;
    this.#dismissed(error);
  }

  #dismissed(error: SlipstreamError): void {
    this.#silence();
    this.#phase = "waiting";
    if (this.#ended) return this.#options.host.gone(this);
    this.end(error);
  }

  #letGo(code: string, detail: string): void {
    if (this.#ended || !ASK_AGAIN.has(code)) {
      return this.#dismissed(new SlipstreamError(code, detail));
    }
    this.#silence();
    this.#phase = "waiting";
    this.#endWait = this.#options.host.later(this.#attempts++, () => {
      this.#endWait = undefined;
      this.opened();
    });
  }

  #data(frame: DataFrame): void {
    const { dense } = this.#options.kind;
    const verdict = judgeOffset({ last: this.#last, dense }, frame.offset);
    if (verdict === "seen") return;
    if (verdict === "hole" && !this.#mend(frame.offset - 1)) return;
    this.#reach(frame.offset);
    this.#tell(frame);
  }

  #tell(frame: Parameters<StreamKind<F>["event"]>[0]): void {
    const event = this.#options.kind.event(frame);
    if (event !== undefined) this.#options.sink.emit(event);
  }

  #caughtUp(offset: number): void {
    const missesTail = this.#options.kind.dense && this.#last !== undefined && this.#last < offset;
    if (missesTail && !this.#mend(offset)) return;
    this.#reach(offset);
    this.#mendedAfter = undefined;
    this.#attempts = 0;
    this.#options.sink.emit({ kind: "caughtUp", offset });
  }

  /** Asks for what is missing, once; true where that was done and the rest is lost, so that the reader goes on. */
  #mend(upTo: number): boolean {
    const from = this.#last ?? 0;
    if (this.#mendedAfter !== from) {
      this.#mendedAfter = from;
      this.#leave();
      return false;
    }
    this.#last = upTo;
    this.#options.sink.emit({ kind: "gap", reason: "missing", from, to: upTo });
    return this.#phase === "live";
  }

  #reach(offset: number): void {
    this.#last = Math.max(this.#last ?? 0, offset);
  }

  #leave(): void {
    const [sub = ""] = this.#names;
    this.#silence();
    this.#phase = "leaving";
    this.#options.host.add({
      frame: () => ({ type: "unsubscribe", sub }),
      resend: false,
      replied: () => this.#left(),
      failed: () => this.#left(),
    });
  }

  #left(): void {
    this.#phase = "waiting";
    if (this.#ended) this.#options.host.gone(this);
    else this.opened();
  }

  #silence(): void {
    for (const name of this.#names) this.#options.host.unhear(name);
    this.#names = [];
  }
}
