import type { TestServer } from "../support/server.ts";

/** One event as a browser would see it. */
export interface ServerEvent {
  id: string;
  event: string;
  data: string;
}

/** A reader of server-sent events (HTML Living Standard, section 9.2.6), which does not come back by itself. */
export interface EventClient extends Disposable {
  response: Response;
  /** The next block that has data. @throws Error when the events have ended */
  next(): Promise<ServerEvent>;
  /** The next block at all: the first has the position where the events begin. */
  begun(): Promise<ServerEvent>;
  /** True once the server has ended the events. */
  ended(): Promise<boolean>;
}

/** Opens the events of a room, with a query where it has one. Resolves when they have begun. */
export function openEvents(
  server: TestServer,
  room: string,
  headers: Record<string, string> = {},
): Promise<EventClient> {
  const [name = "", query] = room.split("?");
  const path = `/api/v1/rooms/${name}/events${query === undefined ? "" : `?${query}`}`;
  return openEventsAt(server, path, headers);
}

/** Opens the events of an address. Resolves when they have begun. */
export async function openEventsAt(
  server: TestServer,
  path: string,
  headers: Record<string, string> = {},
): Promise<EventClient> {
  const abort = new AbortController();
  const response = await fetch(server.url + path, {
    headers: { accept: "text/event-stream", ...headers },
    signal: abort.signal,
  });
  const blocks = blocksOf(response);
  const first = await blocks.next();
  const take = async (): Promise<ServerEvent> => {
    const next = await blocks.next();
    if (next.done === true) throw new Error("the events have ended");
    return next.value;
  };
  return {
    response,
    async next() {
      for (;;) {
        const event = await take();
        if (event.data !== "") return event;
      }
    },
    async begun() {
      if (first.done === true) throw new Error("the events have ended");
      return first.value;
    },
    async ended() {
      for (;;) if ((await blocks.next()).done === true) return true;
    },
    [Symbol.dispose]: () => abort.abort(),
  };
}

async function* blocksOf(response: Response): AsyncGenerator<ServerEvent, undefined> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of response.body ?? []) {
    text += decoder.decode(part, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) yield parseBlock(block);
  }
  return undefined;
}

function parseBlock(block: string): ServerEvent {
  const event: ServerEvent = { id: "", event: "message", data: "" };
  for (const line of block.split("\n")) {
    const [, field, value = ""] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === "id" || field === "event" || field === "data") event[field] = value;
  }
  return event;
}
