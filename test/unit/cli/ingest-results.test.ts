import { describe, expect, test } from "bun:test";
import { readResults } from "../../../src/cli/ingest-results.ts";
import { problemOf } from "../problems/problem-of.ts";

const created = (line: number) => JSON.stringify({ line, id: `d${line}`, status: "created" });
const failed = (line: number, id: string | null) =>
  JSON.stringify({ line, id, status: "failed", error: { code: "empty_text", detail: "No text." } });
const SUMMARY = JSON.stringify({ done: true, upserted: 2, failed: 2, sequence: 2 });

/** An answer that arrives in these parts. */
function answer(...parts: (string | Uint8Array)[]): Response {
  return new Response(
    new ReadableStream<Uint8Array>({
      start(controller) {
        for (const part of parts) controller.enqueue(Buffer.from(part));
        controller.close();
      },
    }),
  );
}

async function read(response: Response) {
  const counts: number[] = [];
  const failures: string[] = [];
  const result = await readResults(response, {
    onDocument: (count) => counts.push(count),
    onFailure: (sentence) => failures.push(sentence),
  });
  return { counts, failures, result };
}

describe("the answer to a streaming upsert", () => {
  const lines = [created(1), failed(2, "d2"), failed(3, null), created(4), SUMMARY];
  const whole = {
    counts: [1, 2, 3, 4],
    failures: ["document d2: No text.", "document of line 3: No text."],
    result: { upserted: 2, failed: 2 },
  };

  test("is told document by document, failures in a sentence, and summed up", async () => {
    expect(await read(answer(`${lines.join("\n")}\n`))).toEqual(whole);
  });

  test("is the same however it arrives, and without a last newline", async () => {
    const bytes = Buffer.from(lines.join("\n").replace("No text", "Kein Text: é🏁"));
    const single = Array.from(bytes, (byte) => new Uint8Array([byte]));
    const { failures, ...rest } = await read(answer(...single));
    expect(failures[0]).toBe("document d2: Kein Text: é🏁.");
    expect(rest).toEqual({ counts: whole.counts, result: whole.result });
  });

  test.each([
    ["a code of the catalogue", "busy", "busy"],
    ["a code that is not known here", "brand_new", "internal"],
  ] as const)(
    "that says it failed with %s is a failure, with the reason and what was written",
    async (_what, code, shown) => {
      const end = { done: false, upserted: 1, failed: 0, error: { code, detail: "Too busy." } };
      const text = `${created(1)}\n${JSON.stringify(end)}\n`;
      const problem = await problemOf(() => read(answer(text)));
      expect([problem.code, problem.detail]).toEqual([shown, "After 1 documents: Too busy."]);
    },
  );

  test.each([
    ["nothing", "", 0],
    ["documents and no summary", `${created(1)}\n${created(2)}\n`, 2],
    ["half a line", `${created(1)}\n${created(2).slice(0, 20)}`, 1],
    ["half a summary", `${created(1)}\n${SUMMARY.slice(0, -5)}`, 1],
  ])("that ends after %s is a failure that says how far it came", async (_what, text, count) => {
    const problem = await problemOf(() => read(answer(text)));
    expect(problem.code).toBe("internal");
    expect(problem.detail).toBe(`The server's answer ended after ${count} documents.`);
  });

  test("that breaks off with an error is a failure, and never a success", async () => {
    const response = new Response(
      new ReadableStream<Uint8Array>({
        pull(controller) {
          controller.error(new Error("connection reset"));
        },
      }),
    );
    expect(await read(response).catch(() => "failed")).toBe("failed");
  });

  test.each([
    ["another program's page", "<html></html>\n"],
    ["lines of another shape", '{"hello":1}\n'],
    ["a list", "[]\n"],
  ])("that is %s is a failure, and never a success", async (_what, text) => {
    expect(await read(answer(text)).catch(() => "failed")).toBe("failed");
  });
});
