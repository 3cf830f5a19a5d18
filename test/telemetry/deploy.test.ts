import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { YAML } from "bun";
import { createRules, writeRules } from "../http/answers.ts";
import { parseScrape, type ScrapedFamily } from "../support/prometheus.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** An expression and where it stands. */
interface Query {
  where: string;
  expr: string;
}

/** What Prometheus itself adds to what it scrapes. */
const OF_PROMETHEUS = { names: ["up"], labels: ["job", "instance"] };
const FUNCTIONS = new Set(
  "sum min max avg rate increase histogram_quantile avg_over_time predict_linear vector".split(" "),
);
const KEYWORDS = new Set(["by", "without", "and", "or", "unless", "on", "ignoring"]);

const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*")|(\[[^\]]*\])|(\d+(?:\.\d+)?)|([a-zA-Z_:][a-zA-Z0-9_:]*)|(=~|!~|!=|==|<=|>=|[-+*/<>=(){},]))/y;

interface Used {
  metric: string;
  /** Matchers on labels: name, how, value. */
  matchers: { label: string; how: string; value: string }[];
}

/**
 * Takes a PromQL expression apart: every metric with its matchers, and every label that is grouped by. Knows the part of
 * the language that our files use and refuses everything else. @throws Error that quotes what it does not understand
 */
function usesOf(expr: string): { used: Used[]; grouped: string[] } {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < expr.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const [whole] = TOKEN.exec(expr) ?? [];
    if (whole === undefined) throw new Error(`not understood: ${expr.slice(at)}`);
    tokens.push(whole.trim());
  }
  let depth = 0;
  const used: Used[] = [];
  const grouped: string[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] ?? "";
    if (token === "(") depth++;
    if (token === ")") depth--;
    if (depth < 0) throw new Error(`a bracket too many: ${expr}`);
    if (token === "by") {
      const end = tokens.indexOf(")", at);
      if (tokens[at + 1] !== "(" || end < 0) throw new Error(`no labels: ${expr}`);
      grouped.push(...tokens.slice(at + 2, end).filter((one) => one !== ","));
      at = end;
    } else if (/^[a-zA-Z_:]/.test(token) && !KEYWORDS.has(token)) {
      const isCall = tokens[at + 1] === "(" || tokens[at + 1] === "by";
      if (isCall !== FUNCTIONS.has(token))
        throw new Error(`${token} is no function we use: ${expr}`);
      if (isCall) continue;
      const matchers: Used["matchers"] = [];
      if (tokens[at + 1] === "{") {
        for (at += 2; tokens[at] !== "}"; at++) {
          const [label = "", how = "", value = ""] = tokens.slice(at, at + 3);
          if (!/^(=|!=|=~|!~)$/.test(how) || !value.startsWith('"'))
            throw new Error(`no matcher: ${expr}`);
          matchers.push({ label, how, value: JSON.parse(value) });
          at += 2;
          if (tokens[at + 1] === ",") at++;
        }
      }
      used.push({ metric: token, matchers });
    }
  }
  if (depth !== 0) throw new Error(`an open bracket: ${expr}`);
  return { used, grouped };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

const list = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.map(record) : [];

async function alertQueries(): Promise<Query[]> {
  const file = record(YAML.parse(await Bun.file("deploy/alerts.yml").text()));
  return list(file["groups"]).flatMap((group) =>
    list(group["rules"]).map((rule) => ({
      where: String(rule["alert"]),
      expr: String(rule["expr"]),
    })),
  );
}

async function dashboardQueries(): Promise<Query[]> {
  const file = record(await Bun.file("deploy/grafana/slipstream.json").json());
  return list(file["panels"]).flatMap((panel) =>
    list(panel["targets"]).map((target) => ({
      where: `${String(panel["title"])} ${String(target["refId"])}`,
      expr: String(target["expr"]).replaceAll("$__rate_interval", "5m"),
    })),
  );
}

let server: TestServer;
let families: Map<string, ScrapedFamily>;

beforeAll(async () => {
  server = await startServer({ env: { ENGINES: "1", VECTOR_INDEX: "exact" } });
  await createRules(server);
  await writeRules(server, [{ id: "a", text: "A red flag stops the race." }]);
  await server.call("POST /api/v1/collections/rules/search", { query: "flag" });
  await server.call("GET /nowhere");
  await server.call("GET /health/live");
  await server.call("GET /metrics");
  families = parseScrape((await server.call("GET /metrics")).text);
});

afterAll(() => server[Symbol.asyncDispose]());

/** What of a query a real scrape does not have. */
function missingOf({ where, expr }: Query): string[] {
  const { used, grouped } = usesOf(expr);
  const samples = [...families.values()].flatMap((family) => family.samples);
  const missing = used.flatMap(({ metric, matchers }) => {
    if (OF_PROMETHEUS.names.includes(metric)) return [];
    const own = samples.filter(({ name }) => name === metric);
    if (own.length === 0) return [`${where}: there is no ${metric}`];
    const labels = matchers.map(({ label }) => label);
    return labels
      .filter((label) => !OF_PROMETHEUS.labels.includes(label))
      .filter((label) => !own.every((sample) => label in sample.labels))
      .map((label) => `${where}: ${metric} has no label ${label}`);
  });
  const all = used.flatMap(({ metric }) => samples.filter(({ name }) => name === metric));
  const unknown = grouped.filter((label) => !all.some((sample) => label in sample.labels));
  return [...missing, ...unknown.map((label) => `${where}: nothing has the label ${label}`)];
}

describe("what is deployed beside the server", () => {
  test("every alert asks for what a real scrape has", async () => {
    const queries = await alertQueries();
    expect(queries.length).toBeGreaterThan(5);
    expect(queries.flatMap(missingOf)).toEqual([]);
  });

  test("alerts tell of errors, slowness, health, engines, lost log lines and the disk", async () => {
    const asked = (await alertQueries()).map(({ expr }) => expr).join("\n");
    for (const metric of [
      "http_server_requests_total",
      "http_server_duration_milliseconds_bucket",
      "health_status",
      "engine_restarts_total",
      "log_lines_dropped_total",
      "disk_free_bytes",
    ]) {
      expect(asked).toContain(metric);
    }
  });

  test("every panel of the dashboard asks for what a real scrape has", async () => {
    const queries = await dashboardQueries();
    expect(queries.length).toBeGreaterThan(20);
    expect(queries.flatMap(missingOf)).toEqual([]);
  });

  test("matchers find something in a real scrape, or are of what has not gone wrong", async () => {
    const queries = [...(await alertQueries()), ...(await dashboardQueries())];
    const samples = [...families.values()].flatMap((family) => family.samples);
    const empty = queries.flatMap(({ where, expr }) =>
      usesOf(expr)
        .used.filter(({ metric }) => !OF_PROMETHEUS.names.includes(metric))
        .flatMap(({ metric, matchers }) =>
          matchers
            .filter(({ value }) => value !== "5..")
            .filter(({ label, how, value }) => {
              const pattern = new RegExp(
                `^(?:${how.endsWith("~") ? value : RegExp.escape(value)})$`,
              );
              return !samples.some(
                ({ name, labels }) => name === metric && pattern.test(labels[label] ?? ""),
              );
            })
            .map(({ label, value }) => `${where}: no ${metric} has ${label} ${value}`),
        ),
    );
    expect(empty).toEqual([]);
  });

  test("a query with a mistake is refused by these tests", () => {
    for (const expr of ["sum(rate(a[5m])", "summ(a)", 'a{b~"c"}', "sum by le (a)", "a ? b"])
      expect(() => usesOf(expr)).toThrow();
    const where = "here";
    expect(missingOf({ where, expr: "no_such_metric" })).toHaveLength(1);
    expect(missingOf({ where, expr: 'live_cut_total{because="slow"}' })).toHaveLength(1);
    expect(missingOf({ where, expr: "sum by (colour) (live_cut_total)" })).toHaveLength(1);
  });

  test.skipIf(Bun.which("promtool") === null)("promtool takes the alerts", () => {
    const { exitCode, stderr } = Bun.spawnSync(["promtool", "check", "rules", "deploy/alerts.yml"]);
    expect({ exitCode, stderr: stderr.toString() }).toMatchObject({ exitCode: 0 });
  });

  test.skipIf(Bun.which("promtool") === null)(
    "promtool takes a scrape, but for the unit that is documented",
    async () => {
      const { text } = await server.call("GET /metrics");
      const { stdout, stderr } = Bun.spawnSync(["promtool", "check", "metrics"], {
        stdin: Buffer.from(text),
      });
      const said = `${stdout.toString()}${stderr.toString()}`.trim().split("\n").filter(Boolean);
      const unit = 'use base unit "seconds" instead of "milliseconds"';
      expect(said).toEqual([`http_server_duration_milliseconds ${unit}`]);
    },
  );
});
