import { callHandler } from "./call-handler.ts";
import type { SlipstreamError } from "./error.ts";
import type { LiveSearch, ReplyFrame } from "./frames.ts";
import type { Hit } from "./http-types.ts";
import type { Request } from "./requests.ts";

export interface SearchAsYouTypeOptions extends LiveSearch {
  results: (results: LiveResults) => void;
  /** The newest query was refused. */
  failed?: (error: SlipstreamError) => void;
}

export interface LiveResults {
  query: string;
  /** `keyword` is a first part that `final` replaces. */
  part: "keyword" | "final";
  hits: readonly Hit[];
  took_ms: number;
}

/** What a search needs of its client. */
export interface RequestSender {
  add(request: Request): string;
  forget(id: string): void;
}

/** A search box: each `query` takes the place of the one before, and only the newest is ever answered. */
export class SearchStream {
  readonly #requests: RequestSender;
  readonly #name: string;
  readonly #options: SearchAsYouTypeOptions;
  #asked: string | undefined;

  constructor(requests: RequestSender, name: string, options: SearchAsYouTypeOptions) {
    this.#requests = requests;
    this.#name = name;
    this.#options = options;
  }

  /** Searches for what the box holds now. An answer that a reconnect lost is asked for again. */
  query(text: string): void {
    const { results, failed, ...fields } = this.#options;
    this.#forget();
    const id = this.#requests.add({
      frame: () => ({ type: "search", ...fields, query: text, stream: this.#name }),
      resend: true,
      replied: (frame) => {
        if (frame.type !== "results" || !this.#isNewest(id, frame)) return;
        callHandler(() => results(resultsOf(text, frame)));
      },
      failed: (error) => callHandler(() => failed?.(error)),
    });
    this.#asked = id;
  }

  /** The box is empty, or gone: nothing that was asked is answered. */
  clear(): void {
    const target = this.#asked;
    this.#forget();
    if (target === undefined) return;
    this.#requests.add({
      frame: () => ({ type: "cancel", target }),
      resend: false,
      replied: () => undefined,
      failed: () => undefined,
    });
  }

  #isNewest(id: string, frame: Extract<ReplyFrame, { type: "results" }>): boolean {
    if (this.#asked !== id) return false;
    if (frame.final) this.#asked = undefined;
    return true;
  }

  #forget(): void {
    if (this.#asked !== undefined) this.#requests.forget(this.#asked);
    this.#asked = undefined;
  }
}

function resultsOf(
  query: string,
  { part, hits, took_ms }: Extract<ReplyFrame, { type: "results" }>,
): LiveResults {
  return { query, part, hits, took_ms };
}
