import { expect, test } from "bun:test";
import { createProgram } from "../../../src/boot/program.ts";

const EVENTS = "http://localhost/api/v1/rooms/news/events";
const asBrowser = () => new Request(EVENTS, { headers: { accept: "text/event-stream" } });

test("a browser's reader of events is told to come back by a server that starts or stops, and nobody else is", async () => {
  const { front, lifecycle } = createProgram();
  for (const state of ["starting", "draining"] as const) {
    lifecycle.state = state;
    const later = await front.handle(asBrowser());
    expect(later.status).toBe(200);
    expect(later.headers.get("content-type")).toStartWith("text/event-stream");
    expect(await later.text()).toBe("retry: 2000\n\n");
    expect((await front.handle(new Request(EVENTS))).status).toBe(503);
  }
});
