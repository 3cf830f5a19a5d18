import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readFileParts } from "../../../src/http/multipart.ts";
import { problemOf } from "../problems/problem-of.ts";

const SEED = 41;

/** A body that arrives in pieces of this size. */
function inPieces(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.slice(at, (at += size)));
    },
  });
}

function formRequest(body: Uint8Array | string, { size = 1 << 20, type = "" } = {}): Request {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  return new Request("http://localhost/", {
    method: "POST",
    body: inPieces(bytes, size),
    headers: { "content-type": type || "multipart/form-data; boundary=b" },
  });
}

async function partsOf(request: Request) {
  const parts: { field: string; filename: string; content: Buffer }[] = [];
  for await (const { field, filename, body } of readFileParts(request)) {
    parts.push({ field, filename, content: Buffer.concat(await Array.fromAsync(body)) });
  }
  return parts;
}

const part = (disposition: string, content = "x") =>
  `--b\r\nContent-Disposition: form-data; ${disposition}\r\nContent-Type: text/plain\r\n\r\n${content}\r\n`;

describe("a form with files", () => {
  test(`gives the files that were put into it, however the body is cut (seed ${SEED})`, async () => {
    const files = fc.array(
      fc.record({
        name: fc.string({ minLength: 1, unit: "grapheme-composite" }),
        // Pieces of a boundary are what a reader stumbles over.
        content: fc.array(fc.oneof(fc.constantFrom("\r\n", "--", "\r", "-", "b"), fc.string())),
      }),
      { minLength: 1, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(files, fc.integer({ min: 1, max: 40 }), async (given, size) => {
        const form = new FormData();
        for (const { name, content } of given) form.append("file", new File(content, name));
        const whole = new Response(form);
        const type = whole.headers.get("content-type") ?? "";
        const parts = await partsOf(formRequest(await whole.bytes(), { size, type }));
        expect(parts.map(({ content }) => content.toString())).toEqual(
          given.map(({ content }) => content.join("")),
        );
      }),
      { seed: SEED, numRuns: 100 },
    );
  });

  test("names are read as browsers and as others write them", async () => {
    const body = [
      part('name="file"; filename="pläne/a b.md"'),
      part('filename="say %22hi%22.md"; name=file'),
      part('name="file"; filename="back\\"slash.md"'),
      part("name=file; filename=plain.md"),
    ].join("");
    const parts = await partsOf(formRequest(`${body}--b--\r\n`));
    expect(parts.map(({ filename }) => filename)).toEqual([
      "pläne/a b.md",
      'say "hi".md',
      'back"slash.md',
      "plain.md",
    ]);
  });

  test("may have something before the first boundary, and a part that nobody reads", async () => {
    const body = `mail\r\n${part('name="a"; filename="1"', "skipped")}${part('name="b"; filename="2"')}--b--`;
    const names: string[] = [];
    for await (const { filename } of readFileParts(formRequest(body))) names.push(filename);
    expect(names).toEqual(["1", "2"]);
  });
});

describe("refused is", () => {
  test.each([
    ["a field that is no file", `${part('name="a"')}--b--`, "invalid_request"],
    ["a part without a name", `${part('filename="a"')}--b--`, "invalid_request"],
    ["a form that is cut off", part('name="a"; filename="b"'), "invalid_request"],
    ["a boundary with something behind it", "--bad\r\n", "invalid_request"],
    ["a head that is too long", `--b\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, "too_large"],
  ])("%s", async (_, body, code) => {
    expect<string>((await problemOf(() => partsOf(formRequest(body)))).code).toBe(code);
  });

  test("a body that is no form, has no boundary, or is compressed", async () => {
    for (const type of ["text/plain", "multipart/form-data", "multipart/mixed; boundary=b"]) {
      const problem = await problemOf(() => partsOf(formRequest("", { type })));
      expect(problem.code).toBe("unsupported_media_type");
    }
    const request = formRequest("");
    request.headers.set("content-encoding", "gzip");
    expect((await problemOf(() => partsOf(request))).code).toBe("unsupported_media_type");
  });
});
