import { describe, expect, test } from "bun:test";
import { createFront } from "../../src/http/front.ts";
import { createRouteTemplates } from "../../src/http/route-templates.ts";
import { limits } from "../../src/limits.ts";
import { healthScore } from "../../src/engine/index-numbers.ts";
import { INSTRUMENTS, metricsDocs } from "../../src/telemetry/instruments.ts";
import { createMetrics, getBusinessMetrics, metrics } from "../../src/telemetry/metrics.ts";
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from "../../src/telemetry/prometheus-text.ts";
import { ENGINE_COMMAND } from "../../src/engine/child-command.ts";
import { createRules, expectProblem, writeRules } from "../http/answers.ts";
import { canListChildren, childrenOf } from "../support/child-processes.ts";
import { eventually } from "../support/process.ts";
import { parseScrape, type ScrapedFamily } from "../support/prometheus.ts";
import { startServer, type TestServer } from "../support/server.ts";

type Scrape = Map<string, ScrapedFamily>;

async function scrape(server: TestServer): Promise<Scrape> {
  const answer = await server.call("GET /metrics");
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe(PROMETHEUS_CONTENT_TYPE);
  return parseScrape(answer.text);
}

/** The value of a sample with these labels, whatever else it has; 0 where there is none. */
function value(scraped: Scrape, name: string, labels: Record<string, string> = {}): number {
  const family = scraped.get(name.replace(/_(bucket|sum|count)$/, "")) ?? scraped.get(name);
  const sample = family?.samples.find(
    (one) => one.name === name && Bun.deepMatch(labels, { ...one.labels }),
  );
  return sample?.value ?? 0;
}

describe("the text for Prometheus", () => {
  test("escapes labels and help, and writes odd numbers as its format does", () => {
    const own = createMetrics();
    const odd = 'a "quoted"\\path\nand more';
    own.observe("collection_health_score", () => Infinity, { collection: odd });
    own.observe("collection_health_score", () => Number.NaN, { collection: "nan" });
    own.observe("collection_health_score", () => -Infinity, { collection: "low" });
    own.observe("collection_health_score", () => 1.5e-7, { collection: "" });
    const samples = parseScrape(prometheusText(own.read())).get("collection_health_score")?.samples;
    expect(samples?.map(({ labels, value: number }) => [labels["collection"], number])).toEqual([
      [odd, Infinity],
      ["nan", Number.NaN],
      ["low", -Infinity],
      ["", 1.5e-7],
    ]);
  });

  test("has cumulative buckets, with a value on a bound below it", () => {
    const own = createMetrics();
    const velocity = own.histogram("ingest_run_velocity");
    for (const documents of [0, 1, 2, 10, 5_000_000])
      velocity.record(documents, { collection: "c" });
    const family = parseScrape(prometheusText(own.read())).get("ingest_run_velocity");
    expect(family?.samples.map((sample) => sample.value)).toEqual([
      2, 4, 4, 4, 4, 4, 4, 5, 5_000_013, 5,
    ]);
  });

  test("names every instrument, also one that nothing was counted by yet", () => {
    const families = parseScrape(prometheusText(createMetrics().read()));
    expect([...families.keys()]).toEqual(Object.keys(INSTRUMENTS));
  });

  test("is refused by the parser of these tests where it is wrong", () => {
    for (const bad of [
      "# HELP a b\n# TYPE a counter\na 1",
      "# TYPE a counter\na 1\n",
      "# HELP a b\n# TYPE a counter\nb 1\n",
      "# HELP a b\n# TYPE a counter\na 1\na 1\n",
      "# HELP a b\n# TYPE a counter\na -1\n",
      '# HELP a b\n# TYPE a gauge\na{x="\\q"} 1\n',
      "# HELP a b\n# TYPE a gauge\na{} 1\n",
      "# HELP a b\n# TYPE a gauge\na 1,5\n",
      '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n',
      '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
    ]) {
      expect(() => parseScrape(bad)).toThrow();
    }
  });
});

/** What an engine sends of itself. */
const numbersOf = (texts: number, vectors: number) => [
  {
    name: "embedding_texts_total" as const,
    points: [{ labels: ["query"], value: texts }],
  },
  { name: "index_vectors" as const, points: [{ labels: [], value: vectors }] },
  {
    name: "search_stage_duration_seconds" as const,
    points: [{ labels: ["embed"], counts: [texts, 0], sum: texts / 2 }],
  },
];

test("the page of metrics names every one of them, with its labels", () => {
  const page = metricsDocs();
  for (const [name, { labels }] of Object.entries(INSTRUMENTS)) {
    const row = page.split("\n").find((line) => line.startsWith(`| \`${name}\``));
    for (const label of labels) expect(row).toContain(`\`${label}\``);
  }
});

describe("a set of instruments", () => {
  test("adds up, by labels", () => {
    const own = createMetrics();
    const created = own.counter("jobs_created_total");
    created.add(1, { collection: "P-001", priority: "high" });
    created.of({ priority: "high", collection: "P-001" }).add(2);
    created.add(1, { collection: "P-002", priority: "low" });
    const points = own.read().find(({ name }) => name === "jobs_created_total")?.points;
    expect(points).toEqual([
      { labels: ["P-001", "high"], value: 3 },
      { labels: ["P-002", "low"], value: 1 },
    ]);
  });

  test("keeps a bounded number of series and puts the rest under other", () => {
    const own = createMetrics();
    const created = own.counter("jobs_created_total");
    for (let at = 0; at < limits.metricSeriesMax + 50; at++)
      created.add(1, { collection: `c${at}`, priority: "low" });
    const families = own.read();
    const points = families.find(({ name }) => name === "jobs_created_total")?.points ?? [];
    expect(points).toHaveLength(limits.metricSeriesMax + 1);
    expect(points.at(-1)).toEqual({ labels: ["other", "other"], value: 50 });
    const refused = families.find(({ name }) => name === "metric_series_refused_total");
    expect(refused?.points).toEqual([{ labels: [], value: 50 }]);
  });

  test("shows plain numbers of others, added up, until they are disposed", () => {
    const own = createMetrics();
    const points = () => own.read().find(({ name }) => name === "live_connections")?.points;
    const first = own.observe("live_connections", () => 3);
    const second = own.observe("live_connections", () => 4);
    using _broken = own.observe("live_connections", () => {
      throw new Error("not now");
    });
    expect(points()).toEqual([{ labels: [], value: 7 }]);
    first[Symbol.dispose]();
    expect(points()).toEqual([{ labels: [], value: 4 }]);
    second[Symbol.dispose]();
    expect(points()).toEqual([]);
  });

  test("waits a bounded time for what has to be asked for", async () => {
    const own = createMetrics();
    let asked = 0;
    own.refresh(() => {
      asked++;
      return new Promise(() => {});
    });
    own.refresh(() => Promise.reject(new Error("gone")));
    const begin = performance.now();
    await own.collect();
    expect(performance.now() - begin).toBeWithin(
      limits.metricsWaitMs - 20,
      limits.metricsWaitMs + 2000,
    );
    expect(asked).toBe(1);
  });

  test("keeps what a process counted when it ends, and forgets how it was", () => {
    const own = createMetrics();
    own.counter("embedding_texts_total").add(1, { kind: "query" });
    const shown = (name: string) =>
      own.remote.addTo(own.read()).find((family) => family.name === name)?.points;
    own.remote.take("engine-0", 100, numbersOf(5, 40));
    own.remote.take("engine-0", 100, numbersOf(6, 41));
    own.remote.take("engine-1", 101, numbersOf(1, 0));
    expect(shown("embedding_texts_total")).toEqual([{ labels: ["query"], value: 8 }]);
    expect(shown("index_vectors")).toEqual([{ labels: [], value: 41 }]);
    own.remote.end("engine-0");
    expect(shown("embedding_texts_total")).toEqual([{ labels: ["query"], value: 8 }]);
    expect(shown("index_vectors")).toEqual([{ labels: [], value: 0 }]);
    own.remote.take("engine-0", 102, numbersOf(1, 42));
    expect(shown("embedding_texts_total")).toEqual([{ labels: ["query"], value: 9 }]);
    expect(shown("search_stage_duration_seconds")).toEqual([
      { labels: ["embed"], counts: [8, 0], sum: 4 },
    ]);
  });

  test("gives the instruments of the business by name", () => {
    expect(Object.keys(getBusinessMetrics())).toEqual([
      "jobs_created_total",
      "jobs_completed_total",
      "job_status_transitions_total",
      "active_jobs",
      "job_duration_seconds",
      "ingest_run_velocity",
      "collection_health_score",
    ]);
  });
});

test("a collection's score is its share of embedded chunks, less while its index is not right", () => {
  const good = { catchingUp: false, failures: 0 };
  expect(healthScore({ chunks: 0, pendingEmbeddings: 0 }, good)).toBe(100);
  expect(healthScore({ chunks: 3, pendingEmbeddings: 1 }, good)).toBe(66.7);
  expect(healthScore({ chunks: 2, pendingEmbeddings: 3 }, good)).toBe(0);
  expect(healthScore({ chunks: 2, pendingEmbeddings: 0 }, { ...good, catchingUp: true })).toBe(50);
  expect(healthScore({ chunks: 2, pendingEmbeddings: 0 }, { catchingUp: true, failures: 2 })).toBe(
    25,
  );
});

test("a route's template is found by its path, fixed names before parameters", () => {
  const routeOf = createRouteTemplates([
    "/",
    "/metrics",
    "/api/:kind",
    "/api/:kind/search",
    "/api/:kind/documents/:id",
    "/api/own/documents/last",
    "/files/*",
  ]);
  const wanted = {
    "/": "/",
    "/metrics": "/metrics",
    "/metrics/": "/metrics",
    "/api/a": "/api/:kind",
    "/api/a/search": "/api/:kind/search",
    "/api/own/search": "/api/:kind/search",
    "/api/own/documents/last": "/api/own/documents/last",
    "/api/own/documents/7": "/api/:kind/documents/:id",
    "/api/a/documents/7/more": "unmatched",
    "/api": "unmatched",
    "/api//search": "unmatched",
    "/files/a/b": "/files/*",
  };
  expect(Object.fromEntries(Object.keys(wanted).map((path) => [path, routeOf(path)]))).toEqual(
    wanted,
  );
});

describe("GET /metrics", () => {
  test("counts requests by method, route template and status, and times them", async () => {
    await using server = await startServer();
    const route = "/api/v1/collections/:name/search";
    const labels = (status: string) => ({ method: "POST", route, status_code: status });
    const before = await scrape(server);
    await createRules(server);
    await writeRules(server, [{ id: "a", text: "A red flag stops the race." }]);
    for (const query of ["red flag", "race"])
      await server.call("POST /api/v1/collections/rules/search", { query });
    await server.call("POST /api/v1/collections/other/search", { query: "flag" });
    await server.call("GET /no/such/place");
    const after = await scrape(server);
    const grown = (name: string, of: Record<string, string>) =>
      value(after, name, of) - value(before, name, of);
    expect(grown("http_server_requests_total", labels("200"))).toBe(2);
    expect(grown("http_server_requests_total", labels("404"))).toBe(1);
    expect(grown("http_server_duration_milliseconds_count", labels("200"))).toBe(2);
    expect(grown("http_server_duration_milliseconds_sum", labels("200"))).toBeGreaterThan(0);
    const unmatched = { method: "GET", route: "unmatched", status_code: "404" };
    expect(grown("http_server_requests_total", unmatched)).toBe(1);
    expect(value(after, "http_server_active_requests")).toBe(1);
    for (const stage of ["embed", "vectors", "keyword", "fuse", "store"])
      expect(grown("search_stage_duration_seconds_count", { stage })).toBe(2);
  });

  test("shows the index, the store, the process and the collections as they are", async () => {
    await using server = await startServer();
    await createRules(server);
    await writeRules(server, [
      { id: "a", text: "A red flag stops the race." },
      { id: "b", text: "Yellow flags mean danger." },
    ]);
    const scraped = await eventually("the index has followed", async () => {
      const one = await scrape(server);
      return value(one, "index_vectors") === 2 ? one : undefined;
    });
    expect(value(scraped, "index_words")).toBe(2);
    expect(value(scraped, "index_unsealed_rows")).toBe(4);
    expect(value(scraped, "collection_health_score", { collection: "rules" })).toBe(100);
    expect(value(scraped, "store_transactions_total")).toBeGreaterThan(0);
    expect(value(scraped, "store_disk_bytes")).toBeGreaterThan(0);
    expect(value(scraped, "health_status")).toBe(1);
    expect(value(scraped, "db_pool_size")).toBe(2);
    expect(value(scraped, "disk_free_bytes")).toBeGreaterThan(0);
    expect(value(scraped, "build_info")).toBe(1);
    const own = { process: "front" };
    expect(value(scraped, "process_resident_memory_bytes", own)).toBeGreaterThan(1e6);
    expect(value(scraped, "process_cpu_seconds_total", own)).toBeGreaterThan(0);
    expect(value(scraped, "embedding_texts_total", { kind: "passage" })).toBeGreaterThan(1);
    await server.call("DELETE /api/v1/collections/rules");
    const later = await scrape(server);
    expect(later.get("collection_health_score")?.samples).toEqual([]);
  });

  test("counts an ingest run by its documents", async () => {
    await using server = await startServer();
    await createRules(server);
    const labels = { collection: "rules" };
    const before = value(await scrape(server), "ingest_run_velocity_sum", labels);
    const lines = ["a", "b", "c"].map((id) => JSON.stringify({ id, text: `Flag ${id}.` }));
    await server.call("POST /api/v1/collections/rules/documents", lines.join("\n"), {
      "content-type": "application/x-ndjson",
    });
    const after = value(await scrape(server), "ingest_run_velocity_sum", labels);
    expect(after - before).toBe(3);
  });

  test("gives two scrapes at a time the same numbers", async () => {
    await using server = await startServer();
    const texts = await Promise.all(
      [1, 2, 3].map(async () => (await server.call("GET /metrics")).text),
    );
    for (const text of texts) parseScrape(text);
  });

  test("is answered while the server drains, unlike others", async () => {
    const front = createFront(() => new Response("numbers"), { state: "draining", steps: [] });
    const statusOf = async (path: string) =>
      (await front.handle(new Request(`http://localhost${path}`))).status;
    expect(await statusOf("/metrics")).toBe(200);
    expect(await statusOf("/metrics/more")).toBe(503);
  });

  test("is not there where METRICS_EXPORTER is none, and nothing is counted", async () => {
    {
      await using server = await startServer({ env: { METRICS_EXPORTER: "none" } });
      expectProblem(await server.call("GET /metrics"), 404, "not_found");
      expect(metrics.enabled).toBe(false);
    }
    expect(metrics.enabled).toBe(true);
  });

  test.skipIf(!canListChildren)(
    "has the engines' own numbers, and a dead or hanging engine does not hold it up",
    async () => {
      await using server = await startServer({ env: { ENGINES: "2", VECTOR_INDEX: "exact" } });
      await createRules(server);
      await writeRules(server, [{ id: "a", text: "A red flag stops the race." }]);
      const stage = { stage: "embed" };
      const before = await scrape(server);
      for (let at = 0; at < 6; at++)
        await server.call("POST /api/v1/collections/rules/search", { query: `flag ${at}` });
      const served = await scrape(server);
      const embedded = (scraped: Scrape) =>
        value(scraped, "search_stage_duration_seconds_count", stage);
      expect(embedded(served) - embedded(before)).toBe(6);
      expect(value(served, "index_vectors")).toBe(1);
      expect(value(served, "engine_ready", { engine: "1" })).toBe(1);
      expect(
        value(served, "process_resident_memory_bytes", { process: "engine-0" }),
      ).toBeGreaterThan(1e6);
      const [owner = 0, follower = 0] = childrenOf(ENGINE_COMMAND).toSorted((a, b) => a - b);
      process.kill(owner, "SIGSTOP");
      try {
        const begin = performance.now();
        const held = await scrape(server);
        expect(performance.now() - begin).toBeLessThan(limits.metricsWaitMs + 1000);
        expect(value(held, "index_vectors")).toBe(1);
        const again = await scrape(server);
        const unanswered = (scraped: Scrape) =>
          value(scraped, "engine_unanswered_scrapes_total", { engine: "0" });
        expect(unanswered(again) - unanswered(served)).toBe(1);
      } finally {
        process.kill(owner, "SIGCONT");
      }
      process.kill(follower, "SIGKILL");
      const restarted = await eventually("the engine is there again", async () => {
        const scraped = await scrape(server);
        const ready = value(scraped, "engine_ready", { engine: "1" }) === 1;
        return ready && value(scraped, "engine_restarts_total", { engine: "1" }) > 0
          ? scraped
          : undefined;
      });
      expect(embedded(restarted)).toBeGreaterThanOrEqual(embedded(served));
    },
  );
});
