import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  isNdjson,
  ndjsonLines,
  ndjsonResponse,
  type NdjsonLine,
} from "../../../src/http/ndjson.ts";
import { limits } from "../../../src/limits.ts";

async function* parts(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size)
    yield bytes.subarray(start, start + size);
}

/** Lines as `[number, value]`, or `[number, code]` for those that are refused. */
async function read(bytes: Uint8Array | string, size = 65_536): Promise<[number, unknown][]> {
  const lines: NdjsonLine[] = await Array.fromAsync(ndjsonLines(parts(Buffer.from(bytes), size)));
  return lines.map((one) => [one.line, one.ok ? one.value : one.problem.code]);
}

describe("ndjsonLines", () => {
  test("counts lines from 1 and leaves blank ones out", async () => {
    expect(await read('{"a":1}\n\n \t\r\n[2]\r\n"é🏁"\n3')).toEqual([
      [1, { a: 1 }],
      [4, [2]],
      [5, "é🏁"],
      [6, 3],
    ]);
  });

  test.each(["", "\n", "\n\n  \n"])("finds nothing in %j", async (text) => {
    expect(await read(text)).toEqual([]);
  });

  test("says of a wrong line what is wrong, and reads the next one", async () => {
    const deep = "[".repeat(limits.jsonDepthMax + 1) + "]".repeat(limits.jsonDepthMax + 1);
    const text = Buffer.concat([
      Buffer.from(`{"a":\n1\n${deep}\n"`),
      Buffer.from([0xff]),
      Buffer.from('"\n2 3\n4'),
    ]);
    expect(await read(text)).toEqual([
      [1, "malformed_json"],
      [2, 1],
      [3, "too_deep"],
      [4, "invalid_text"],
      [5, "malformed_json"],
      [6, 4],
    ]);
  });

  test("takes the longest line, refuses one byte more and goes on", async () => {
    const longest = `"${"x".repeat(limits.ndjsonLineBytesMax - 2)}"`;
    const lines = await read(`${longest}\n${longest} \n1`);
    expect(
      lines.map(([line, value]) => [line, String(value).length > 100 ? "long" : value]),
    ).toEqual([
      [1, "long"],
      [2, "too_large"],
      [3, 1],
    ]);
  });

  test("reads the same fed byte by byte as fed whole", async () => {
    const line = fc.oneof(
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.constantFrom("", " ", "\r", "{", "nul", '"\\"', "é🏁", "\ufeff1"),
    );
    const bytes = fc.oneof(
      fc.array(line).map((all) => Buffer.from(all.join("\n"))),
      fc.uint8Array({ maxLength: 60 }),
    );
    await fc.assert(
      fc.asyncProperty(bytes, fc.integer({ min: 1, max: 7 }), async (all, size) => {
        const whole = await read(all);
        expect(await read(all, 1)).toEqual(whole);
        expect(await read(all, size)).toEqual(whole);
      }),
      { seed: 19, numRuns: 200 },
    );
  });

  test("tells a line as soon as it ends, and does not wait for more", async () => {
    const gate = Promise.withResolvers<void>();
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("1\n2");
      await gate.promise;
    }
    const lines = ndjsonLines(slow());
    expect((await lines.next()).value).toEqual({ line: 1, ok: true, value: 1 });
    gate.resolve();
    expect((await lines.next()).value).toEqual({ line: 2, ok: true, value: 2 });
  });
});

/** Whether a promise has settled by now. */
const settled = (promise: Promise<void>): Promise<boolean> =>
  Promise.race([promise.then(() => true), new Promise(setImmediate).then(() => false)]);

/** Gives these values, then fails with the error where there is one. */
async function* source(values: readonly unknown[], error?: Error): AsyncGenerator {
  yield* values;
  if (error !== undefined) throw error;
}

describe("ndjsonResponse", () => {
  test("is one JSON value a line, and has ended when the last one was made", async () => {
    const { response, ended } = ndjsonResponse(source([{ a: "é\n" }, null]));
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    expect(await response.text()).toBe('{"a":"é\\n"}\nnull\n');
    await ended;
  });

  test("makes no more than a bounded amount for a client that does not read", async () => {
    let made = 0;
    const line = "x".repeat(10_000);
    async function* endless() {
      for (;;) {
        made++;
        yield line;
      }
    }
    const { response, ended } = ndjsonResponse(endless());
    const reader = response.body?.getReader();
    await reader?.read();
    for (let turn = 0; turn < 500; turn++) await new Promise(setImmediate);
    expect(made * line.length).toBeLessThan(2 * limits.ndjsonResultBytesMax);
    expect(await settled(ended)).toBe(false);
    await reader?.cancel();
    await ended;
  });

  test("lets its source go when the client leaves", async () => {
    let open = true;
    async function* values() {
      try {
        for (;;) yield "x".repeat(100_000);
      } finally {
        open = false;
      }
    }
    const { response, ended } = ndjsonResponse(values());
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await ended;
    expect(open).toBe(false);
  });

  test("breaks off where its source fails, and has ended then too", async () => {
    const { response, ended } = ndjsonResponse(source([1], new Error("source failed")));
    expect(await response.text().catch(() => "broken off")).toBe("broken off");
    expect(await settled(ended)).toBe(true);
  });
});

const is = (type: string): boolean =>
  isNdjson(new Request("http://x/", { method: "POST", headers: { "content-type": type } }));

test("isNdjson knows the media types of NDJSON, in any case and with parameters", () => {
  for (const type of [
    "application/x-ndjson",
    "application/JSONL",
    "application/ndjson; charset=utf-8",
  ])
    expect(is(type)).toBe(true);
  for (const type of ["application/json", "text/plain", "application/x-ndjsonp", ""])
    expect(is(type)).toBe(false);
  expect(isNdjson(new Request("http://x/"))).toBe(false);
});
