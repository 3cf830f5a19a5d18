import { Connection, type ConnectionState, type TokenSource } from "./connection.ts";
import { callHandler } from "./call-handler.ts";
import type { Environment } from "./environment.ts";
import { SlipstreamError } from "./error.ts";
import type { Handlers, Match, Message, Presence, QueryEvent, RoomEvent } from "./events.ts";
import type { ClientRequest, ErrorFrame, ReplyFrame, ServerFrame, Welcome } from "./frames.ts";
import { dispatchQuery, dispatchRoom, queryKind, roomKind } from "./kinds.ts";
import { Readers } from "./readers.ts";
import { errorOf, Requests, type Request } from "./requests.ts";
import { SearchStream, type SearchAsYouTypeOptions } from "./search-stream.ts";
import { StreamReader, type StreamReaderOptions } from "./stream-reader.ts";
import { Subscription } from "./subscription.ts";
import type { Position, StandingQuery } from "./values.ts";

/** Longest wait for an answer on the socket, reconnects included: well inside the five minutes that keys are known. */
const REQUEST_MS = 60_000;
/** Past it a repeated publication may find its key forgotten, and be another one. */
const REQUEST_MS_MAX = 240_000;

export interface LiveOptions {
  url: string;
  token?: TokenSource;
  session?: string;
  timeoutMs?: number;
  onState?: (state: ConnectionState) => void;
  onError?: (error: SlipstreamError) => void;
}

export interface PlaceOptions {
  /** Where an earlier reader stood (`subscription.position`): what came since is told first. */
  since?: Position;
  /** Without `since`: so many of the latest publications are told first. */
  history?: number;
}

export type RoomSubscription<T = unknown> = Subscription<Message<T> | Presence>;
export type QuerySubscription = Subscription<Match>;

type RoomReading<T> = PlaceOptions &
  Handlers<RoomEvent<T>> & { withPresence?: boolean; parse: (data: unknown) => T };

/** The socket's side of a client: one connection, its requests and its streams. */
export class LiveClient {
  readonly #options: LiveOptions;
  readonly #environment: Environment;
  readonly #connection: Connection;
  readonly #requests: Requests;
  readonly #readers: Readers;
  #connecting: { resolve: () => void; reject: (error: SlipstreamError) => void }[] = [];
  #searchStreams = 0;
  #open = false;
  #over = false;

  constructor(options: LiveOptions & { session: string }, environment: Environment) {
    const { url, session, token } = options;
    this.#options = options;
    this.#environment = environment;
    this.#connection = new Connection(
      { url: liveUrl(url, session), token, environment },
      {
        opened: (welcome) => this.#opened(welcome),
        frame: (frame) => this.#frame(frame),
        lost: (code) => this.#lost(code),
        state: (state) => callHandler(() => options.onState?.(state)),
        closed: (error) => this.#closed(error),
        error: (error) => this.#tell(error),
      },
    );
    this.#requests = new Requests(environment, (text) => this.#connection.send(text));
    this.#readers = new Readers({
      requests: this.#requests,
      environment,
      connected: () => this.#open,
    });
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  connect(): Promise<void> {
    this.#over = false;
    this.#connection.start();
    if (this.#open) return Promise.resolve();
    return new Promise((resolve, reject) => this.#connecting.push({ resolve, reject }));
  }

  close(): void {
    if (this.#connection.state === "closed") this.#closed(undefined);
    else this.#connection.close();
  }

  subscribeRoom<T>(room: string, reading: RoomReading<T>): RoomSubscription<T> {
    const { since, history, parse, withPresence = reading.presence !== undefined } = reading;
    const failed = (error: SlipstreamError) => this.#tell(error);
    const kind = roomKind<T>(room, { withPresence, parse, failed });
    this.#check(kind.key);
    return new Subscription<Message<T> | Presence>({
      reader: (sink) => this.#read({ kind, host: this.#readers, sink, since, history }),
      dispatch: (event) => dispatchRoom(reading, event),
      ended: (error) => reading.ended?.(error),
    });
  }

  subscribeQuery(
    query: StandingQuery,
    reading: PlaceOptions & Handlers<QueryEvent>,
  ): QuerySubscription {
    const { since, history } = reading;
    const kind = queryKind(query);
    this.#check(kind.key);
    return new Subscription<Match>({
      reader: (sink) => this.#read({ kind, host: this.#readers, sink, since, history }),
      dispatch: (event) => dispatchQuery(reading, event),
      ended: (error) => reading.ended?.(error),
    });
  }

  /** @throws SlipstreamError `closed`, `timeout` and the server's own; an aborted signal's reason */
  ask<T extends ReplyFrame["type"]>(
    request: ClientRequest,
    type: T,
    signal: AbortSignal | undefined,
  ): Promise<Extract<ReplyFrame, { type: T }>> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      this.#begin();
      const giveUp = (reason: unknown): void => {
        over();
        this.#requests.forget(id);
        reject(reason);
      };
      const ends = [this.#deadline(giveUp), onAbort(signal, giveUp)];
      const over = (): void => ends.forEach((end) => end());
      const id = this.#requests.add({
        frame: () => request,
        resend: true,
        replied(frame) {
          over();
          if (isOfType(frame, type)) resolve(frame);
          else reject(new SlipstreamError("internal", `The answer was a ${frame.type}.`));
        },
        failed(error) {
          over();
          reject(error);
        },
      });
    });
  }

  searchAsYouType(options: SearchAsYouTypeOptions): SearchStream {
    const sender = {
      add: (request: Request) => {
        this.#begin();
        return this.#requests.add(request);
      },
      forget: (id: string) => this.#requests.forget(id),
    };
    return new SearchStream(sender, `s${++this.#searchStreams}`, options);
  }

  #deadline(giveUp: (error: SlipstreamError) => void): () => void {
    const ms = Math.min(this.#options.timeoutMs ?? REQUEST_MS, REQUEST_MS_MAX);
    return this.#environment.after(ms, () =>
      giveUp(new SlipstreamError("timeout", `No answer within ${ms} ms.`)),
    );
  }

  #check(key: string): void {
    this.#begin();
    this.#readers.check(key);
  }

  #read<F>(options: StreamReaderOptions<F>): StreamReader<F> {
    const reader = new StreamReader(options);
    this.#readers.start(reader);
    return reader;
  }

  /** Connects at the first use; a client that was closed is not opened by accident. */
  #begin(): void {
    if (this.#over)
      throw new SlipstreamError("closed", "The client is closed; connect() opens it.");
    this.#connection.start();
  }

  #opened({ limits }: Welcome): void {
    this.#open = true;
    this.#requests.opened(limits);
    this.#readers.opened();
    for (const { resolve } of this.#connecting.splice(0)) resolve();
  }

  #lost(code: number): void {
    this.#open = false;
    this.#requests.lost(code);
    this.#readers.lost();
  }

  #closed(error: SlipstreamError | undefined): void {
    this.#over = true;
    const reason = error ?? new SlipstreamError("closed", "The client was closed.");
    this.#requests.closed(reason);
    this.#readers.end(error);
    for (const { reject } of this.#connecting.splice(0)) reject(reason);
  }

  #frame(frame: ServerFrame): void {
    switch (frame.type) {
      case "error":
        return this.#failed(frame);
      case "subscribed":
      case "published":
      case "history":
      case "results":
        return this.#requests.replied(frame);
      case "cancelled":
        if (isReply(frame)) this.#requests.replied(frame);
        return;
      case "presence":
      case "unsubscribed":
        if (isReply(frame)) return this.#requests.replied(frame);
        return this.#readers.take(frame.sub, frame);
      case "message":
      case "match":
      case "caught_up":
      case "progress":
        return this.#readers.take(frame.sub, frame);
      case "welcome":
      case "authed":
      case "ping":
      case "pong":
      case "draining":
    }
  }

  #failed(frame: ErrorFrame): void {
    if (this.#requests.refused(frame)) return;
    this.#tell(errorOf(frame));
  }

  #tell(error: SlipstreamError): void {
    callHandler(() => this.#options.onError?.(error));
  }
}

/** A reply has the id of its request; a push has none. */
function isReply<F extends ServerFrame>(frame: F): frame is F & { id: string } {
  return "id" in frame && typeof frame.id === "string";
}

function isOfType<T extends ReplyFrame["type"]>(
  frame: ReplyFrame,
  type: T,
): frame is Extract<ReplyFrame, { type: T }> {
  return frame.type === type;
}

function onAbort(signal: AbortSignal | undefined, giveUp: (reason: unknown) => void): () => void {
  if (signal === undefined) return () => undefined;
  const listener = () => giveUp(signal.reason);
  signal.addEventListener("abort", listener);
  return () => signal.removeEventListener("abort", listener);
}

/** `session` is a secret by which the server knows a client that comes back as the same member of its rooms. */
function liveUrl(url: string, session: string): string {
  const base = new URL(url);
  base.protocol = base.protocol.replace("http", "ws");
  base.pathname = `${base.pathname.replace(/\/+$/, "")}/live`;
  base.search = new URLSearchParams({ session }).toString();
  return base.href;
}
