import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { YAML } from "bun";
import { createRules, writeRules } from "../http/answers.ts";
import { eventually, startProgram } from "../support/process.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

/** Debian's package `prometheus` has it. */
const PROMETHEUS = Bun.which("prometheus");
if (PROMETHEUS === null) console.log("skipped: no prometheus on the PATH");

const alertFile = "deploy/alerts.yml";

interface Rule {
  name: string;
  state: string;
  health: string;
}

/** Expressions of the dashboard's panels, with the range that Grafana would fill in. */
async function dashboardQueries(): Promise<string[]> {
  const file: { panels: { targets?: { expr: string }[] }[] } = await Bun.file(
    "deploy/grafana/slipstream.json",
  ).json();
  const targets = file.panels.flatMap((panel) => panel.targets ?? []);
  return targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "5m"));
}

/** A port that nothing listens on now. */
async function freePort(): Promise<number> {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** A real Prometheus that reads a server a few times a second and minds our alerts. */
async function startPrometheus(target: string) {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(tempDir());
  const config = {
    global: { scrape_interval: "500ms", scrape_timeout: "500ms", evaluation_interval: "200ms" },
    rule_files: [join(process.cwd(), alertFile)],
    scrape_configs: [
      { job_name: "slipstream", static_configs: [{ targets: [new URL(target).host] }] },
    ],
  };
  const port = await freePort();
  await Bun.write(join(path, "prometheus.yml"), YAML.stringify(config));
  const flags = [
    `--config.file=${path}/prometheus.yml`,
    `--storage.tsdb.path=${path}/data`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  stack.use(startProgram(flags, { cwd: path, command: [PROMETHEUS ?? ""] }));
  const owned = stack.move();
  const ask = async <T>(what: string): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${what}`);
    const { data }: { data: T } = JSON.parse(await response.text());
    return data;
  };
  return {
    query: async (expr: string) => {
      const at = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expr)}`;
      const body: { error?: string; data?: { result: unknown[] } } = JSON.parse(
        await (await fetch(at)).text(),
      );
      return { failure: body.error, found: body.data?.result.length ?? 0 };
    },
    async rules(): Promise<Rule[]> {
      const { groups } = await ask<{ groups: { rules: Rule[] }[] }>("rules");
      return groups.flatMap(({ rules }) => rules);
    },
    /** Resolves when it has read the server so often. */
    scraped: (times: number) =>
      eventually(`${times} scrapes`, async () => {
        const expr = `sum_over_time(up{job="slipstream"}[1m]) >= ${times}`;
        const found = await ask<{ result: unknown[] }>(`query?query=${encodeURIComponent(expr)}`)
          .then(({ result }) => result.length)
          // It does not listen yet.
          .catch(() => 0);
        return found > 0 || undefined;
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe.skipIf(PROMETHEUS === null)("a real Prometheus", () => {
  let server: TestServer;
  let prometheus: Awaited<ReturnType<typeof startPrometheus>>;

  beforeAll(async () => {
    server = await startServer({ env: { ENGINES: "1", VECTOR_INDEX: "exact" } });
    await createRules(server);
    await writeRules(server, [{ id: "a", text: "A red flag stops the race." }]);
    prometheus = await startPrometheus(server.url);
    await prometheus.scraped(2);
    // What is counted between two scrapes has a rate.
    await server.call("POST /api/v1/collections/rules/search", { query: "flag" });
    await prometheus.scraped(6);
  });

  afterAll(async () => {
    await prometheus[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  test("answers every question of the dashboard", async () => {
    const queries = await dashboardQueries();
    expect(queries.length).toBeGreaterThan(20);
    const missing: string[] = [];
    for (const expr of queries) {
      const { failure, found } = await prometheus.query(expr);
      if (found === 0) missing.push(`${expr}: ${failure ?? "nothing"}`);
    }
    expect(missing).toEqual([]);
  });

  test("minds every alert, none of which fires for a server that is well, and tells that it is gone", async () => {
    const rules = await prometheus.rules();
    expect(rules.length).toBeGreaterThan(5);
    expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
    // A prediction from seconds may be anything, and waits an hour to be believed.
    expect(rules.filter(({ state }) => state === "firing")).toEqual([]);
    await server[Symbol.asyncDispose]();
    await eventually("it is missed", async () => {
      const down = (await prometheus.rules()).find(({ name }) => name === "SlipstreamDown");
      return down?.state === "pending" || down?.state === "firing" || undefined;
    });
  });
});
