import { describe, expect, test } from "bun:test";
import { createFront } from "../../../src/http/front.ts";
import { listen } from "../../../src/http/serve.ts";
import { parseConfig } from "../../../src/config.ts";
import { createLive } from "../../../src/live/live.ts";
import { problemOf } from "../problems/problem-of.ts";

const front = createFront(() => new Response("ok"), { state: "ready", steps: [] });

const live = createLive(parseConfig({}));

describe("listening", () => {
  test("answers on the port that it got, until it is stopped", async () => {
    const listening = listen(front, { host: "127.0.0.1", port: 0, live });
    expect(await (await fetch(listening.url)).text()).toBe("ok");
    await listening.stop(0);
    expect(await fetch(listening.url).catch(() => "refused")).toBe("refused");
  });

  test("on a port in use is a problem that names the port and the setting", async () => {
    const listening = listen(front, { host: "127.0.0.1", port: 0, live });
    const port = Number(new URL(listening.url).port);
    const problem = await problemOf(() => {
      listen(front, { host: "127.0.0.1", port, live });
    });
    expect(problem.code).toBe("port_in_use");
    expect(problem.detail).toContain(`Port ${port} `);
    expect(problem.detail).toContain("PORT");
    await listening.stop(0);
  });

  test("on an address that this machine does not have is the system's error", () => {
    // 192.0.2.0/24 belongs to documentation (RFC 5737).
    expect(() => listen(front, { host: "192.0.2.1", port: 0, live })).toThrow();
  });
});
