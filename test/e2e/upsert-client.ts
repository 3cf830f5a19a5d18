import { Value } from "@sinclair/typebox/value";
import { Type, type Static } from "@sinclair/typebox";

const LineSchema = Type.Object({
  id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  status: Type.Optional(Type.String()),
  done: Type.Optional(Type.Boolean()),
  upserted: Type.Optional(Type.Integer()),
  failed: Type.Optional(Type.Integer()),
});

/** A line of the answer: a document's result, or the summary, which has `done`. */
export type UpsertLine = Static<typeof LineSchema>;

/** A document whose text no other one shares. */
export interface TestDocument {
  id: string;
  text: string;
}

/** One streaming upsert: documents are sent and their results read at the same time. */
export interface UpsertClient {
  send(document: TestDocument): void;
  /** Ends the request's body. */
  end(): void;
  /** The next line of the answer; undefined when the answer ended, or the connection broke. */
  next(): Promise<UpsertLine | undefined>;
}

/** Begins a streaming upsert into a collection that is there. The answer's head comes with the first document. */
export function openUpsert(url: string, collection: string): UpsertClient {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
  const lines = answerLines(
    fetch(`${url}/api/v1/collections/${collection}/documents`, {
      method: "POST",
      body,
      headers: { "content-type": "application/x-ndjson" },
    }),
  );
  const encoder = new TextEncoder();
  return {
    send: (document) => controller?.enqueue(encoder.encode(`${JSON.stringify(document)}\n`)),
    end: () => controller?.close(),
    async next() {
      const { done, value } = await lines.next();
      return done === true ? undefined : value;
    },
  };
}

async function* answerLines(answering: Promise<Response>): AsyncGenerator<UpsertLine, undefined> {
  let rest = "";
  for await (const text of answerText(answering)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield Value.Parse(LineSchema, JSON.parse(line));
  }
  return undefined;
}

/** A server that is killed breaks the connection: what was answered before that is what the caller wants to know. */
async function* answerText(answering: Promise<Response>): AsyncGenerator<string> {
  const response = await answering.catch(() => undefined);
  if (response?.ok === false) {
    throw new Error(`the upsert was refused with ${response.status}: ${await response.text()}`);
  }
  const decoder = new TextDecoder();
  const reader = response?.body?.getReader();
  for (;;) {
    const part = await reader?.read().catch(() => undefined);
    if (part === undefined || part.done) return;
    yield decoder.decode(part.value, { stream: true });
  }
}
