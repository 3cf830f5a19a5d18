import { Type, type Static } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { ItemErrorSchema } from "../contract/documents.ts";
import { isProblemCode, Problem } from "../problems.ts";

/** A line of the streaming upsert's answer: a document's result, or the summary at the end. */
const LineSchema = Type.Union([
  Type.Object({
    line: Type.Integer(),
    id: Type.Union([Type.String(), Type.Null()]),
    status: Type.String(),
    error: Type.Optional(ItemErrorSchema),
  }),
  Type.Object({
    done: Type.Boolean(),
    upserted: Type.Integer(),
    failed: Type.Integer(),
    error: Type.Optional(ItemErrorSchema),
  }),
]);

export interface IngestResult {
  upserted: number;
  failed: number;
}

export interface ResultListener {
  /** Called with the number of documents answered so far. */
  onDocument(count: number): void;
  onFailure(sentence: string): void;
}

/** Reads the answer to its end. @throws Problem `internal` where it ends before its summary, and of the answer's own code where it says that it failed */
export async function readResults(
  response: Response,
  listener: ResultListener,
): Promise<IngestResult> {
  let count = 0;
  for await (const text of textLines(response)) {
    const line = parseLine(text);
    // Half a line: the connection broke in the middle of it.
    if (line === undefined) break;
    if (!("done" in line)) {
      listener.onDocument(++count);
      if (line.error !== undefined)
        listener.onFailure(`document ${line.id ?? `of line ${line.line}`}: ${line.error.detail}`);
      continue;
    }
    if (line.done) return { upserted: line.upserted, failed: line.failed };
    const { code = "internal", detail = "no reason was given" } = line.error ?? {};
    throw new Problem(
      isProblemCode(code) ? code : "internal",
      `After ${line.upserted} documents: ${detail}`,
    );
  }
  throw new Problem("internal", `The server's answer ended after ${count} documents.`);
}

function parseLine(text: string): Static<typeof LineSchema> | undefined {
  try {
    return Value.Parse(LineSchema, JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function* textLines(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const part of response.body ?? []) {
    const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}
