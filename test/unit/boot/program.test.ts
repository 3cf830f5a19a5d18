import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createProgram } from "../../../src/boot/program.ts";
import { parseConfig } from "../../../src/config.ts";
import { LiveSchema, StartupSchema } from "../../../src/contract/health.ts";
import { ProblemSchema } from "../../../src/contract/shared.ts";
import { ENGINE_COMMAND } from "../../../src/engine/child-command.ts";
import { canListChildren, childrenOf } from "../../support/child-processes.ts";
import { shaped } from "../../support/server.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";

/** Logs are configured by nobody here, so nothing is written. */
const configOf = (dataDir: string, engines: number) =>
  parseConfig({
    DATA_DIR: dataDir,
    ENGINES: String(engines),
    VECTOR_INDEX: "exact",
    STARTUP_MIN_UPTIME: "0",
  });

/** A program that is asked by the paths alone. */
function create() {
  const program = createProgram();
  const ask = async (path: string, method = "GET") => {
    const headers = { "x-request-id": "r-1" };
    const request = new Request(`http://localhost${path}`, { method, headers });
    const response = await program.front.handle(request);
    return { status: response.status, headers: response.headers, json: await response.json() };
  };
  return { program, ask };
}

describe.each([0, 1])("a program with %d engines in processes of their own", (engines) => {
  test("tells probes that it starts, refuses all else, and says when it has started", async () => {
    using dir = tempDir();
    const { program, ask } = create();
    const live = await ask("/health/live");
    expect([live.status, shaped(LiveSchema, live.json).status]).toEqual([200, "healthy"]);
    const starting = await ask("/health/startup");
    expect(starting.status).toBe(503);
    expect(shaped(StartupSchema, starting.json)).toMatchObject({ status: "starting", steps: [] });
    for (const [path, method] of [
      ["/api/v1/collections", "GET"],
      ["/api/v1/collections/rules/search", "POST"],
      ["/nothing", "GET"],
    ] as const) {
      const refused = await ask(path, method);
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
      expect(refused.headers.get("x-request-id")).toBe("r-1");
      const { code, request_id } = shaped(ProblemSchema, refused.json);
      expect([code, request_id]).toEqual(["not_ready", "r-1"]);
    }
    await using _opened = await program.open(configOf(dir.path, engines));
    const started = await ask("/health/startup");
    expect(started.status).toBe(200);
    const { status, steps } = shaped(StartupSchema, started.json);
    expect(status).toBe("started");
    expect(steps.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["store", "engines", "app"]),
    );
    expect((await ask("/health/ready")).status).toBe(200);
    expect((await ask("/api/v1/collections")).status).toBe(200);
  });

  test("that cannot open its data says why, and leaves no process behind", async () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, "file"), "");
    const { program, ask } = create();
    const config = configOf(join(dir.path, "file", "db"), engines);
    expect((await problemOf(() => program.open(config))).code).toBe("config_invalid");
    if (canListChildren) expect(childrenOf(ENGINE_COMMAND)).toEqual([]);
    expect((await ask("/health/startup")).status).toBe(503);
  });
});
