import { describe, expect, test } from "bun:test";
import { LoadGenerator } from "../../../bench/support/load.ts";
import {
  AnswerReader,
  requestBytes,
  type AnswerState,
} from "../../../bench/support/load-answer.ts";

const EXPECTED = '"hits":[{';

const PARTIAL: AnswerState = { kind: "partial" };
const GOOD: AnswerState = { kind: "expected" };

function answerOf(body: string, head = "HTTP/1.1 200 OK"): Buffer {
  const length = Buffer.byteLength(body);
  return Buffer.from(`${head}\r\nServer: test\r\nContent-Length: ${length}\r\n\r\n${body}`);
}

/** An answer in parts, each with its size before it. */
function answerInParts(...parts: readonly string[]): Buffer {
  const sized = [...parts, ""].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
  return Buffer.from(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${sized.join("")}`);
}

/** What each of some pieces comes to. They are wiped afterwards, as a socket may use their memory again. */
function statesOf(reader: AnswerReader, pieces: readonly Buffer[]): AnswerState[] {
  return pieces.map((piece) => {
    const bytes = Buffer.from(piece);
    const state = reader.take(bytes);
    bytes.fill(0);
    return state;
  });
}

const GOOD_ANSWERS: readonly [string, Buffer][] = [
  ["the text at the start", answerOf(`{${EXPECTED}"id":"a"}]}`)],
  ["the text at the end", answerOf(`{"took":1,${EXPECTED}`)],
  ["another status of success", answerOf(`{${EXPECTED}}]}`, "HTTP/1.1 201 Created")],
  ["a body in parts", answerInParts(`{${EXPECTED}`, '"id":"a"}]}')],
];

const WRONG_ANSWERS: readonly [string, Buffer, string][] = [
  ["none of the text", answerOf('{"hits":[]}'), '200 {"hits":[]}'],
  ["no success", answerOf(`{${EXPECTED}}]}`, "HTTP/1.1 503 Busy"), `503 {${EXPECTED}}]}`],
  ["no body", answerOf(""), "200 "],
  ["no content", Buffer.from("HTTP/1.1 204 No Content\r\nServer: test\r\n\r\n"), "204 "],
  ["none of the text in parts", answerInParts("{}"), "200 2\r\n{}\r\n0\r\n\r\n"],
];

/** All ways of cutting an answer into two pieces. */
function cuts(whole: Buffer): [Buffer, Buffer][] {
  return Array.from({ length: whole.length - 1 }, (_, at) => [
    whole.subarray(0, at + 1),
    whole.subarray(at + 1),
  ]);
}

describe("an answer", () => {
  test.each(GOOD_ANSWERS)("with %s is as expected, wherever it is cut", (_, whole) => {
    const reader = new AnswerReader(EXPECTED);
    expect(statesOf(reader, [whole])).toEqual([GOOD]);
    for (const pieces of cuts(whole)) expect(statesOf(reader, pieces)).toEqual([PARTIAL, GOOD]);
  });

  test.each(WRONG_ANSWERS)("with %s is an error, wherever it is cut", (_, whole, reason) => {
    const reader = new AnswerReader(EXPECTED);
    const wrong: AnswerState = { kind: "wrong", reason };
    expect(statesOf(reader, [whole])).toEqual([wrong]);
    for (const pieces of cuts(whole)) expect(statesOf(reader, pieces)).toEqual([PARTIAL, wrong]);
  });

  test("that comes byte by byte is the same as in one piece", () => {
    const good = GOOD_ANSWERS.map(([, whole]) => ({ whole, state: GOOD }));
    const wrong = WRONG_ANSWERS.map(([, whole, reason]) => {
      return { whole, state: { kind: "wrong", reason } as const };
    });
    const reader = new AnswerReader(EXPECTED);
    for (const { whole, state } of [...good, ...wrong]) {
      const states = statesOf(
        reader,
        Array.from(whole, (byte) => Buffer.from([byte])),
      );
      expect(states.slice(0, -1).every(({ kind }) => kind === "partial")).toBe(true);
      expect(states.at(-1)).toEqual(state);
    }
  });

  test("of any success will do where no text is expected", () => {
    const reader = new AnswerReader("");
    for (const [, whole, reason] of WRONG_ANSWERS) {
      const [state] = statesOf(reader, [whole]);
      expect(state?.kind).toBe(reason.startsWith("503") ? "wrong" : "expected");
    }
  });

  test("of another size than the one before is read from its own head", () => {
    const [long, short] = [answerOf(`{${EXPECTED}${" ".repeat(5000)}`), answerOf(`{${EXPECTED}`)];
    const reader = new AnswerReader(EXPECTED);
    expect(short.length).toBeLessThan(100);
    for (let round = 0; round < 2; round++) {
      expect(statesOf(reader, [long.subarray(0, 100), long.subarray(100), short])).toEqual([
        PARTIAL,
        GOOD,
        GOOD,
      ]);
    }
  });

  test("that is an error is told with the first of its characters only", () => {
    const body = "é".repeat(2000);
    const whole = answerOf(body, "HTTP/1.1 500 Fault");
    const states = statesOf(new AnswerReader(EXPECTED), [
      whole.subarray(0, 800),
      whole.subarray(800),
    ]);
    expect(states).toEqual([PARTIAL, { kind: "wrong", reason: `500 ${body.slice(0, 500)}` }]);
  });
});

/** A megabyte, which no socket gives in one piece. */
const HITS = '{"id":"d12345","score":0.5},'.repeat(40_000);

function serve(answer: string, status = 200) {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(answer, { status }),
  });
}

describe("a load", () => {
  test("of answers that come in many pieces counts each of them once", async () => {
    using server = serve(`{"hits":[${HITS}{}]}`);
    await using generator = LoadGenerator.start();
    const url = server.url.origin;
    const requests = [requestBytes(`${url}/`, { k: 10 })];
    const job = { url, requests, connections: 4, count: 20, expect: EXPECTED };
    expect(await generator.run(job)).toMatchObject({ requests: 20, errors: 0 });
  });

  test("fails with the status and the start of an answer that is an error", async () => {
    using server = serve(`{"error":[${HITS}{}]}`, 503);
    await using generator = LoadGenerator.start();
    const url = server.url.origin;
    const running = generator.run({ url, requests: [requestBytes(`${url}/`)], connections: 1 });
    const failure = await running.then(
      () => "no failure",
      (error: unknown) => String(error),
    );
    expect(failure).toContain('503 {"error":[{"id":"d12345"');
    expect(failure.length).toBeLessThan(600);
  });
});
