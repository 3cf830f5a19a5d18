import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { leaveFrame, matchFrame } from "../../../src/standing-queries/match-frames.ts";
import { createReadyLines } from "../../../src/standing-queries/ready-lines.ts";
import {
  batchOf,
  documentOf,
  lostBody,
  matchBody,
  messageOf,
} from "../../../src/standing-queries/webhook-message.ts";
import { retryPauseMs } from "../../../src/standing-queries/webhook-retry.ts";
import {
  isSecret,
  newSecret,
  signatureHeaders,
} from "../../../src/standing-queries/webhook-signature.ts";
import type { WebhookDelivery } from "../../../src/store/stored-query-store.ts";

const SOURCE = {
  queryId: "sq_1",
  collection: "news",
  epoch: "01234567-89ab-cdef-0123-456789abcdef",
};

function waiting(id: number, rest: Partial<WebhookDelivery> = {}): WebhookDelivery {
  const body = `{"offset":${id}}`;
  const untraced = { traceparent: null, tracestate: null };
  const tried = { attempts: 0, nextAtMs: id };
  return { id, kind: "match", body, createdAtMs: id * 1000, ...tried, ...untraced, ...rest };
}

const secretOf = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString("base64")}`;

const longest = (attempts: number) => retryPauseMs(attempts, { random: () => 0.999_999_999 });

const linesOf = (host: string, count: number) =>
  Array.from({ length: count }, (_, number) => ({ host, number }));

describe("a signature", () => {
  test("is that of the Standard Webhooks specification", () => {
    // The example that the specification's libraries are tested with.
    const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const message = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", body: '{"test": 2432232314}' };
    expect(signatureHeaders({ ...message, atMs: 1_614_265_330_999 }, secret)).toEqual({
      "webhook-id": message.id,
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    });
  });

  test("is made with a secret of 24 to 64 bytes", () => {
    const made = newSecret();
    expect(isSecret(made)).toBe(true);
    expect(newSecret()).not.toBe(made);
    expect([23, 24, 64, 65].map((bytes) => isSecret(secretOf(bytes)))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect(isSecret(secretOf(32).replace("whsec_", "secret"))).toBe(false);
    expect(isSecret(`${secretOf(32)}!`)).toBe(false);
    expect(isSecret("")).toBe(false);
  });
});

describe("the pause after a failed try", () => {
  test("grows from five seconds to a day, and then there is no other try", () => {
    const seconds = [1, 2, 3, 4, 5, 6, 7].map((n) => Math.ceil((longest(n) ?? 0) / 1000));
    expect(seconds).toEqual([5, 30, 120, 600, 3600, 21_600, 86_400]);
    expect(longest(8)).toBeUndefined();
  });

  test("is anything up to that", () => {
    expect(retryPauseMs(3, { random: () => 0 })).toBe(0);
    expect(retryPauseMs(3, { random: () => 0.25 })).toBe(30_000);
  });

  test("is at least what the receiver asks for, up to an hour", () => {
    expect(retryPauseMs(1, { random: () => 0, askedMs: 20_000 })).toBe(20_000);
    expect(retryPauseMs(1, { random: () => 0, askedMs: 1e12 })).toBe(3_600_000);
    expect(retryPauseMs(2, { random: () => 0.5, askedMs: 1000 })).toBe(15_000);
  });
});

describe("what is sent", () => {
  test("is a frame without its envelope", () => {
    const frame = { hash: "h", documentId: 'a"b', sequence: 7, event: "insert" } as const;
    const body =
      '{"offset":7,"doc":"a\\"b","version":7,"event":"insert","score":1,"data":{"x":{}}}';
    const data = { score: 1, data: '{"x":{}}' };
    expect(matchBody(matchFrame({ ...frame, ...data, replay: false }))).toBe(body);
    expect(matchBody(matchFrame({ ...frame, ...data, replay: true }))).toBe(body);
    expect(JSON.parse(matchBody(leaveFrame("h", { id: "a", sequence: 3 }, true)))).toEqual({
      offset: 3,
      doc: "a",
      version: 3,
      event: "leave",
      score: null,
      data: {},
    });
  });

  test("are all that wait for the first time, up to what one request may hold", () => {
    const all = [1, 2, 3].map((id) => waiting(id));
    expect(batchOf(all)).toEqual(all);
    expect(batchOf([])).toEqual([]);
    const body = "x".repeat(limits.webhookRequestCharactersMax / 2);
    const large = [1, 2, 3].map((id) => waiting(id, { body }));
    expect(batchOf(large).map(({ id }) => id)).toEqual([1, 2]);
    const one = waiting(1, { body: body + body + body });
    expect(batchOf([one, waiting(2)])).toEqual([one]);
  });

  test("again is what was sent before, without what came since", () => {
    const failed = { attempts: 1, nextAtMs: 99 };
    const all = [waiting(1, failed), waiting(2, failed), waiting(3), waiting(4)];
    expect(batchOf(all).map(({ id }) => id)).toEqual([1, 2]);
  });

  test("of what is lost goes alone", () => {
    const lost = waiting(2, { kind: "lost", body: '{"reason":"too_old","after":3,"offset":9}' });
    expect(batchOf([waiting(1), lost, waiting(3)]).map(({ id }) => id)).toEqual([1]);
    expect(batchOf([lost, waiting(3)])).toEqual([lost]);
    expect(JSON.parse(messageOf([lost], SOURCE).body)).toEqual({
      type: "standing_query.lost",
      timestamp: "1970-01-01T00:00:02.000Z",
      data: {
        query_id: "sq_1",
        collection: "news",
        epoch: SOURCE.epoch,
        lost: { reason: "too_old", after: 3, offset: 9 },
      },
    });
  });

  test("has an id without a full stop that is of its content", () => {
    const { id, body } = messageOf([waiting(4), waiting(5)], SOURCE);
    expect(id).toBe("msg_0123456789ab_4_5");
    expect(JSON.parse(body)).toEqual({
      type: "standing_query.matched",
      timestamp: "1970-01-01T00:00:05.000Z",
      data: {
        query_id: "sq_1",
        collection: "news",
        epoch: SOURCE.epoch,
        matches: [{ offset: 4 }, { offset: 5 }],
      },
    });
    expect(() => messageOf([], SOURCE)).toThrow("never empty");
  });
});

describe("lines that are ready", () => {
  test("are taken by turns of their hosts, so many of each", () => {
    const ready = createReadyLines<{ host: string; number: number }>({ max: 5, perHostMax: 3 });
    const [slow, quick] = [linesOf("slow", 6), linesOf("quick", 1)];
    for (const line of [...slow, ...quick]) ready.add(line);
    const taken = Array.from({ length: 6 }, () => ready.take());
    expect(taken).toEqual([slow[0], quick[0], slow[1], slow[2], undefined, undefined]);
    const [first] = slow;
    if (first !== undefined) ready.done(first);
    expect(ready.take()).toBe(slow[3]);
  });

  test("are as many as may be in all", () => {
    const ready = createReadyLines<{ host: string; number: number }>({ max: 3, perHostMax: 2 });
    const lines = ["a", "b", "c", "d"].flatMap((host) => linesOf(host, 1));
    for (const line of lines) ready.add(line);
    expect([ready.take(), ready.take(), ready.take(), ready.take()]).toEqual([
      ...lines.slice(0, 3),
      undefined,
    ]);
    const [, second, , fourth] = lines;
    if (fourth !== undefined) ready.remove(fourth);
    if (second !== undefined) ready.done(second);
    expect(ready.take()).toBeUndefined();
  });
});

test("the document of a match is read from its body, whatever its id", () => {
  for (const documentId of ["a", 'b "c" \\', "é\n", '","doc":"x']) {
    const frame = matchFrame({
      hash: "h",
      documentId,
      sequence: 5,
      event: "insert",
      score: 1,
      data: '{"title":"x"}',
      replay: true,
    });
    expect(documentOf(matchBody(frame))).toBe(documentId);
  }
  expect(documentOf(lostBody({ reason: "too_old", after: 1, offset: 2 }))).toBeUndefined();
});
