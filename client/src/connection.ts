import type { Environment, WebSocketLike } from "./environment.ts";
import { SlipstreamError } from "./error.ts";
import { decodeFrame, type ClientFrame, type ServerFrame, type Welcome } from "./frames.ts";
import { attemptsAfter, nextStep, type NextStep } from "./policy.ts";

/** `connecting` until the first success or failure, `closed` before the first use and after the last. */
export type ConnectionState = "connecting" | "connected" | "reconnecting" | "closed";

/** Why a token is asked for: for a new connection, because the old one is no longer good, or before it runs out. */
export type TokenReason = "connect" | "expired" | "refresh";
export type TokenSource = string | ((reason: TokenReason) => string | Promise<string>);

/** From the call for a socket to a server that is ready to be asked. */
const CONNECT_MS_MAX = 10_000;
/** The server speaks at least every 15 s; nothing for 25 s means that the network has gone without a word. */
const SILENCE_MS = 25_000;
/** Room for a late heartbeat where the server's own interval was set longer. */
const HEARTBEAT_GRACE_MS = 10_000;
/** A token is renewed when so much of its life has gone. */
const TOKEN_LIFE_USED = 0.8;
/** Timers cannot wait longer than 2^31 ms; a token of a longer life is renewed once a day. */
const TOKEN_REFRESH_MS_MAX = 86_400_000;
const TOKEN_REFRESH_MS_MIN = 1000;
const CLOSE_LOST = 1006;
const CLOSE_BYE = 1000;
const CLOSE_UNAUTHENTICATED = 4501;

export interface ConnectionOptions {
  url: string;
  token: TokenSource | undefined;
  environment: Environment;
}

/** Who hears of a connection. `lost` comes before the state changes, `opened` after. */
export interface ConnectionListener {
  opened(welcome: Welcome): void;
  frame(frame: ServerFrame): void;
  lost(code: number): void;
  state(state: ConnectionState): void;
  /** For good; undefined where `close()` was called. */
  closed(error: SlipstreamError | undefined): void;
  /** Something went wrong that ends nothing. */
  error(error: SlipstreamError): void;
}

/** One socket at a time to one server, made again by the policy when it is lost. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #listener: ConnectionListener;
  #state: ConnectionState = "closed";
  #socket: WebSocketLike | undefined;
  #welcome: Welcome | undefined;
  #welcomeAtMs = 0;
  #attempts = 0;
  #heardAtMs = 0;
  #openedAtMs: number | undefined;
  #hintMs: number | undefined;
  #tokenExpired = false;
  #waitDemanded = false;
  #endWake: (() => void) | undefined;
  #endWait: (() => void) | undefined;
  #endSilence: (() => void) | undefined;
  #endRefresh: (() => void) | undefined;

  constructor(options: ConnectionOptions, listener: ConnectionListener) {
    this.#options = options;
    this.#listener = listener;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Begins, where it has not begun. */
  start(): void {
    if (this.#state !== "closed") return;
    this.#attempts = 0;
    this.#waitDemanded = false;
    // First of all, since it may throw: then nothing has begun.
    this.#open();
    this.#endWake = this.#options.environment.onWake(() => this.#wake());
    this.#setState("connecting");
  }

  /** Says good-bye and does not come back. */
  close(): void {
    if (this.#state === "closed") return;
    const socket = this.#drop();
    socket?.close(CLOSE_BYE);
    this.#listener.lost(CLOSE_BYE);
    this.#finish(undefined);
  }

  /** Only while connected; what is sent at another time is gone. */
  send(text: string): void {
    this.#socket?.send(text);
  }

  #say(frame: ClientFrame): void {
    this.send(JSON.stringify(frame));
  }

  #open(): void {
    const { environment, url } = this.#options;
    this.#endWait?.();
    const socket = environment.socket(url);
    this.#socket = socket;
    this.#welcome = undefined;
    this.#hintMs = undefined;
    this.#endWait = environment.after(CONNECT_MS_MAX, () => this.#abandon());
    // A socket that was given up may still speak; only the present one is heard.
    socket.addEventListener("message", ({ data }) => {
      if (socket === this.#socket) this.#heard(decodeFrame(data));
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (socket === this.#socket) this.#lost(code, reason);
    });
    // The close event that follows says more.
    socket.addEventListener("error", () => undefined);
  }

  #heard(frame: ServerFrame | undefined): void {
    this.#heardAtMs = this.#options.environment.now();
    if (frame === undefined) return;
    if (frame.type === "ping") return this.#say({ type: "pong" });
    if (frame.type === "welcome") return this.#welcomed(frame);
    if (frame.type === "authed") return this.#authed(frame.expires_at);
    if (frame.type === "draining") this.#hintMs = frame.reconnect_after_ms;
    this.#listener.frame(frame);
  }

  #welcomed(welcome: Welcome): void {
    this.#welcome = welcome;
    this.#welcomeAtMs = this.#heardAtMs;
    if (welcome.auth === "required") this.#sendToken("connect");
    else this.#opened(welcome);
  }

  #authed(expiresAt: string | null | undefined): void {
    this.#refreshBefore(expiresAt);
    if (this.#openedAtMs === undefined && this.#welcome !== undefined) this.#opened(this.#welcome);
  }

  #opened(welcome: Welcome): void {
    const { environment } = this.#options;
    this.#endWait?.();
    this.#openedAtMs = environment.now();
    this.#watchSilence(Math.max(SILENCE_MS, welcome.heartbeat.interval_ms + HEARTBEAT_GRACE_MS));
    this.#setState("connected");
    // Who heard of the state may have closed it.
    if (this.#state === "connected") this.#listener.opened(welcome);
  }

  /** One timer that looks again when the last word is old enough, rather than one that every frame sets anew. */
  #watchSilence(silenceMs: number): void {
    const { environment } = this.#options;
    const leftMs = this.#heardAtMs + silenceMs - environment.now();
    if (leftMs <= 0) return this.#abandon();
    this.#endSilence = environment.after(leftMs, () => this.#watchSilence(silenceMs));
  }

  #sendToken(reason: TokenReason): void {
    const { token } = this.#options;
    const socket = this.#socket;
    if (token === undefined) {
      return this.#lost(CLOSE_UNAUTHENTICATED, "The server asks for a token and none was given.");
    }
    const asked = this.#tokenExpired && reason === "connect" ? "expired" : reason;
    const send = (text: string): void => {
      if (socket !== this.#socket) return;
      this.#tokenExpired = false;
      this.#say({ type: "auth", id: "auth", token: text });
    };
    const fail = (cause: unknown): void => {
      if (socket !== this.#socket) return;
      const detail = "No token could be had.";
      this.#listener.error(new SlipstreamError("unauthenticated", detail, { cause }));
      if (reason === "connect") this.#abandon();
    };
    tokenFrom(token, asked).then(send, fail);
  }

  /** By the server's own clock, since this machine's may be wrong. */
  #refreshBefore(expiresAt: string | null | undefined): void {
    this.#endRefresh?.();
    const sinceWelcomeMs = this.#heardAtMs - this.#welcomeAtMs;
    const lifeMs =
      Date.parse(expiresAt ?? "") - Date.parse(this.#welcome?.time ?? "") - sinceWelcomeMs;
    if (Number.isNaN(lifeMs)) return;
    const waitMs = Math.min(
      Math.max(lifeMs * TOKEN_LIFE_USED, TOKEN_REFRESH_MS_MIN),
      TOKEN_REFRESH_MS_MAX,
    );
    this.#endRefresh = this.#options.environment.after(waitMs, () => this.#sendToken("refresh"));
  }

  /** The network is back, or the page is seen again. */
  #wake(): void {
    const { environment } = this.#options;
    if (this.#state === "reconnecting" && this.#socket === undefined && !this.#waitDemanded) {
      return this.#open();
    }
    // A machine that slept finds its timers late and its socket dead.
    if (this.#state === "connected" && environment.now() - this.#heardAtMs >= SILENCE_MS) {
      this.#abandon();
    }
  }

  /** Gives a socket up without waiting for its last word, which may never come. */
  #abandon(): void {
    const socket = this.#socket;
    this.#lost(CLOSE_LOST, "");
    socket?.close();
  }

  #lost(code: number, reason: string): void {
    const { environment } = this.#options;
    const connectedForMs =
      this.#openedAtMs === undefined ? 0 : environment.now() - this.#openedAtMs;
    const attempt = attemptsAfter(this.#attempts, connectedForMs);
    const hintMs = this.#hintMs;
    const socket = this.#drop();
    this.#listener.lost(code);
    const next = nextStep({ code, attempt, hintMs }, () => environment.random());
    if (next.kind === "closed") {
      socket?.close();
      return this.#finish(new SlipstreamError("closed", `${code} ${reason}`.trim()));
    }
    this.#attempts = attempt + 1;
    this.#wait(next);
  }

  #wait({ delayMs, newToken, demanded }: Extract<NextStep, { kind: "reconnect" }>): void {
    this.#tokenExpired ||= newToken;
    this.#waitDemanded = demanded;
    this.#endWait = this.#options.environment.after(delayMs, () => this.#open());
    this.#setState("reconnecting");
  }

  #drop(): WebSocketLike | undefined {
    const socket = this.#socket;
    this.#endWait?.();
    this.#endSilence?.();
    this.#endRefresh?.();
    this.#socket = undefined;
    this.#openedAtMs = undefined;
    return socket;
  }

  #finish(error: SlipstreamError | undefined): void {
    this.#endWake?.();
    this.#setState("closed");
    this.#listener.closed(error);
  }

  #setState(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#listener.state(state);
  }
}

/** An async function, so that a source that throws and one that rejects are the same. */
async function tokenFrom(token: TokenSource, reason: TokenReason): Promise<string> {
  return typeof token === "string" ? token : token(reason);
}
