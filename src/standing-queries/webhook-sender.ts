import { lookup } from "node:dns/promises";
import { limits } from "../limits.ts";
import { VERSION } from "../version.ts";
import { privateReasonOf } from "./public-address.ts";
import { signatureHeaders } from "./webhook-signature.ts";
import { addressIn } from "./webhook-url.ts";

export interface WebhookMessage {
  /** The same whenever the same is sent again. */
  id: string;
  url: string;
  secret: string;
  /** JSON text. */
  body: string;
  /** Tries that failed: each goes to the next of the host's addresses. */
  attempts: number;
  atMs: number;
  /** Those of its trace. */
  headers?: Readonly<Record<string, string>>;
  /** Ends the request. */
  signal: AbortSignal;
}

/**
 * What came of a request, with the status of its answer. `error` is for people and holds nothing of the URL; `errorType` is
 * the status, or a code.
 */
export type SendOutcome =
  | { kind: "taken"; status: number }
  /** The receiver wants nothing more. */
  | { kind: "gone"; status: number }
  | { kind: "failed"; error: string; errorType: string; status?: number; askedMs?: number };

export type SendWebhook = (message: WebhookMessage) => Promise<SendOutcome>;

export interface SenderOptions {
  /** Any address is sent to, by http too. */
  privateAddresses: boolean;
  /** The addresses of a name; the system's resolver by default. */
  addressesOf?: (host: string) => Promise<readonly string[]>;
  /** 10 s by default. */
  timeoutMs?: number;
  /** Certificates that are trusted in the place of the system's, PEM. */
  ca?: string;
}

/**
 * Sends signed requests. The connection goes to an address that was checked, with the name for the certificate and the
 * Host header beside it: whoever owns the name cannot change what it stands for between the check and the connection.
 * Redirects are not followed, and nothing of an answer but its status is read.
 */
export function createWebhookSender(options: SenderOptions): SendWebhook {
  const { timeoutMs = limits.webhookRequestMsMax } = options;
  return async (message) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = AbortSignal.any([message.signal, timeout]);
    try {
      const target = await targetOf(message, { ...options, signal });
      if ("error" in target) return { kind: "failed", ...target };
      return await send(message, { ...options, ...target, signal });
    } catch (error) {
      if (timeout.aborted)
        return {
          kind: "failed",
          error: `no answer within ${timeoutMs / 1000} s`,
          errorType: "timeout",
        };
      const errorType = codeOf(error);
      return { kind: "failed", error: `it could not be reached (${errorType})`, errorType };
    }
  };
}

interface Target {
  /** With the address in the place of the name. */
  url: URL;
  /** The name for the certificate; undefined where the URL had an address. */
  serverName: string | undefined;
  host: string;
}

async function targetOf(
  { url: text, attempts }: WebhookMessage,
  {
    privateAddresses,
    addressesOf = resolve,
    signal,
  }: Pick<SenderOptions, "privateAddresses" | "addressesOf"> & { signal: AbortSignal },
): Promise<Target | { error: string; errorType: string }> {
  const url = new URL(text);
  const { host, hostname } = url;
  const literal = addressIn(url);
  const addresses =
    literal === undefined ? await orAbort(addressesOf(hostname), signal) : [literal];
  // One that is private is enough: the next connection could be to it.
  const reason = privateAddresses ? undefined : addresses.map(privateReasonOf).find(Boolean);
  if (reason !== undefined)
    return {
      error: `its host has an address that is not of the public internet (${reason})`,
      errorType: "private_address",
    };
  const address = addresses[attempts % addresses.length];
  if (address === undefined) return { error: "its host has no address", errorType: "no_address" };
  url.hostname = address.includes(":") ? `[${address}]` : address;
  return { url, host, serverName: literal === undefined ? hostname : undefined };
}

async function send(
  message: WebhookMessage,
  { url, host, serverName, ca, signal }: Target & { ca?: string; signal: AbortSignal },
): Promise<SendOutcome> {
  const tls = { ...(serverName === undefined ? {} : { serverName }), ...(ca ? { ca } : {}) };
  const response = await fetch(url, {
    method: "POST",
    headers: {
      ...message.headers,
      ...signatureHeaders(message, message.secret),
      "content-type": "application/json",
      "user-agent": `${VERSION.name}/${VERSION.version}`,
      host,
    },
    body: message.body,
    redirect: "manual",
    // Connections are told apart by their address, which several names may have.
    keepalive: false,
    signal,
    tls,
  });
  await response.body?.cancel();
  return outcomeOf(response);
}

function outcomeOf({ ok, status, headers }: Response): SendOutcome {
  if (ok) return { kind: "taken", status };
  if (status === 410) return { kind: "gone", status };
  const isRedirect = status >= 300 && status < 400;
  const error = `it answered ${status}${isRedirect ? ": redirects are not followed" : ""}`;
  const seconds = /^\d{1,9}$/.exec(headers.get("retry-after") ?? "")?.[0];
  const asks = seconds !== undefined && (status === 429 || status === 503);
  const failed = { kind: "failed", error, errorType: String(status), status } as const;
  return asks ? { ...failed, askedMs: Number(seconds) * 1000 } : failed;
}

async function resolve(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
}

/** A look-up cannot be ended; who waits for it can. */
function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  return Promise.race([promise, aborted]);
}

function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") {
    return error.code;
  }
  return error instanceof Error ? error.name : "unknown";
}
