import { limits } from "../limits.ts";

/** How a number behaves: a counter only grows, an up-down counter and a gauge go both ways. */
export type InstrumentKind = "counter" | "up_down_counter" | "gauge" | "histogram";

/** A number that the program keeps of itself. */
export interface Instrument {
  kind: InstrumentKind;
  /** The unit as UCUM writes it: `s`, `ms`, `By`, or what is counted in braces. */
  unit: string;
  help: string;
  /** Names of its labels, in the order of their values everywhere. */
  labels: readonly string[];
  /** Upper bounds of a histogram's buckets, ascending; one more without a bound comes after them. */
  buckets?: readonly number[];
  /** Its OpenTelemetry name where that differs from the one in Prometheus' text. */
  otel?: string;
}

/** Milliseconds of a request: searches take two to ten, streams of documents seconds. */
const REQUEST_MS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000];
/** Seconds of a part of a search: from some microseconds to a stalled model. */
const STAGE_S = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5,
];
const BATCH_S = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];
const DELAY_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const JOB_S = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400];
const DOCUMENTS = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];

const counter = <const L extends readonly string[]>(unit: string, help: string, labels: L) =>
  ({ kind: "counter", unit, help, labels }) as const;
const gauge = <const L extends readonly string[]>(unit: string, help: string, labels: L) =>
  ({ kind: "gauge", unit, help, labels }) as const;
const upDownCounter = <const L extends readonly string[]>(unit: string, help: string, labels: L) =>
  ({ kind: "up_down_counter", unit, help, labels }) as const;
const histogram = <const L extends readonly string[]>(
  described: { unit: string; help: string; buckets: readonly number[] },
  labels: L,
) => ({ kind: "histogram", ...described, labels }) as const;

const REQUEST = ["method", "route", "status_code"] as const;

/** Every number that is kept, by its name in Prometheus' text. The page of metrics is made of this table. */
export const INSTRUMENTS = {
  http_server_requests_total: {
    ...counter("{request}", "HTTP requests answered, by route template.", REQUEST),
    otel: "http.server.requests",
  },
  http_server_duration_milliseconds: {
    ...histogram(
      {
        unit: "ms",
        help: "Time from a request to the beginning of its answer, in milliseconds as in the older semantic convention.",
        buckets: REQUEST_MS,
      },
      REQUEST,
    ),
    otel: "http.server.duration",
  },
  http_server_active_requests: {
    ...upDownCounter("{request}", "HTTP requests that run now, streams included.", []),
    otel: "http.server.active_requests",
  },

  jobs_created_total: counter("{job}", "Jobs created.", ["collection", "priority"]),
  jobs_completed_total: counter("{job}", "Jobs that ended, by outcome.", ["collection", "outcome"]),
  job_status_transitions_total: counter("{transition}", "Changes of a job's state.", [
    "from",
    "to",
  ]),
  active_jobs: upDownCounter("{job}", "Jobs that wait or run.", []),
  job_duration_seconds: histogram(
    { unit: "s", help: "Time from a job's start to its end.", buckets: JOB_S },
    ["outcome"],
  ),
  collection_health_score: gauge(
    "1",
    "0 to 100: the share of a collection's chunks that can be found by meaning, halved while its index catches up, halved after builds that failed.",
    ["collection"],
  ),
  ingest_run_velocity: histogram(
    {
      unit: "{document}",
      help: "Documents written by one ingest run, a stream of documents being one.",
      buckets: DOCUMENTS,
    },
    ["collection"],
  ),

  search_stage_duration_seconds: histogram(
    { unit: "s", help: "Time of one part of a search.", buckets: STAGE_S },
    ["stage"],
  ),
  embedding_texts_total: counter("{text}", "Texts embedded, of queries or of documents.", ["kind"]),
  embedding_batch_duration_seconds: histogram(
    { unit: "s", help: "Time of a batch of passages, its wait included.", buckets: BATCH_S },
    [],
  ),
  embedding_failures_total: counter("{batch}", "Batches of passages that failed.", []),
  embedding_pending_chunks: gauge("{chunk}", "Chunks that wait for their vector.", []),
  embedding_cache_hits_total: counter("{text}", "Texts whose vector was known.", []),
  embedding_cache_misses_total: counter("{text}", "Texts that had to be embedded.", []),
  embedding_cache_bytes: gauge("By", "Memory of the vectors that are remembered.", []),

  index_vectors: gauge("{vector}", "Vectors that can be found.", []),
  index_words: gauge("{chunk}", "Chunks whose words can be found.", []),
  index_segments: gauge("{segment}", "Sealed segments of all indexes.", []),
  index_dead_rows: gauge("{row}", "Dead rows in sealed segments.", []),
  index_unsealed_rows: gauge("{row}", "Rows that are in memory only.", []),
  index_unsealed_bytes: gauge("By", "Memory of rows that wait to be sealed.", []),
  index_disk_bytes: gauge("By", "Bytes of sealed segments on disk.", []),
  index_reclaimable_bytes: gauge("By", "Bytes of dead rows on disk.", []),
  index_heap_bytes: gauge("By", "Memory of all indexes, mapped files not counted.", []),
  index_building: gauge("{index}", "Collections whose index builds a segment now.", []),
  index_catching_up: gauge("{index}", "Collections whose index reads what it lost again.", []),
  index_build_failures: gauge("{build}", "Builds that failed in a row, of all indexes.", []),
  index_builds_total: counter("{build}", "Segments built.", []),
  index_built_rows_total: counter("{row}", "Rows written into segments.", []),

  engine_ready: gauge("1", "1 where an engine serves.", ["engine"]),
  engine_restarts_total: counter("{restart}", "Starts of an engine after its first.", ["engine"]),
  engine_calls_in_flight: gauge("{call}", "Calls that an engine has now.", ["engine"]),
  engine_calls_waiting: gauge("{call}", "Calls that wait for an engine.", []),
  engine_unanswered_scrapes_total: counter(
    "{scrape}",
    "Scrapes that an engine did not answer in time; its last numbers were shown.",
    ["engine"],
  ),

  store_transactions_total: counter("{transaction}", "Transactions of the write queue.", []),
  store_writes_waiting: gauge("{document}", "Documents that wait to be committed.", []),
  store_writes_waiting_bytes: gauge("By", "Bytes that wait to be committed.", []),
  store_disk_bytes: gauge("By", "Bytes of the database on disk.", []),
  store_ping_seconds: gauge("s", "Time of the last SELECT 1.", []),
  db_pool_size: gauge("{connection}", "Connections of this process to the database.", []),
  db_pool_in_use: gauge("{connection}", "Connections that have work.", []),
  db_pool_overflow: gauge("{connection}", "Connections past the pool's size.", []),
  disk_free_bytes: gauge("By", "Free bytes on the disk of the data.", []),
  disk_free_min_bytes: gauge("By", "Below so many free bytes writes are refused.", []),

  live_connections: gauge("{connection}", "Live connections.", []),
  live_connections_opened_total: counter("{connection}", "Live connections opened.", []),
  live_connections_refused_total: counter("{connection}", "Live connections refused.", []),
  live_frames_in_total: counter("{frame}", "Frames from live clients.", []),
  live_frames_out_total: counter("{frame}", "Frames to single live connections.", []),
  live_publications_total: counter("{frame}", "Frames of rooms and standing queries.", []),
  live_deliveries_total: counter("{frame}", "Subscribers that these frames went to.", []),
  live_cut_total: counter("{connection}", "Live connections cut, by reason.", ["reason"]),
  live_failures_total: counter("{failure}", "Handlers of live frames that failed.", []),

  health_status: gauge("1", "1 healthy, 0.5 degraded, 0 unhealthy.", []),
  build_info: gauge("1", "1, with the version and the commit that runs.", ["version", "commit"]),
  log_lines_dropped_total: counter("{line}", "Log lines lost: nobody read them in time.", []),
  metric_series_refused_total: counter(
    "{measurement}",
    "Measurements put under the labels `other`: a metric had too many label sets.",
    [],
  ),
  trace_spans_exported_total: counter("{span}", "Spans that a collector took.", []),
  trace_requests_open: gauge("{request}", "Requests whose spans have not all ended.", []),
  trace_spans_lost_total: counter("{span}", "Spans that no collector took.", []),
  event_loop_delay_seconds: histogram(
    { unit: "s", help: "How late a timer of the server's own thread came.", buckets: DELAY_S },
    [],
  ),
  process_resident_memory_bytes: gauge("By", "Resident memory.", ["process"]),
  process_cpu_seconds_total: counter("s", "User and system time.", ["process"]),
  process_start_time_seconds: gauge("s", "Start, in seconds since 1970.", ["process"]),
} as const satisfies Record<string, Instrument>;

export type InstrumentName = keyof typeof INSTRUMENTS;

/** Names of the instruments of a kind. */
export type NamesOf<K extends InstrumentKind> = {
  [N in InstrumentName]: (typeof INSTRUMENTS)[N]["kind"] extends K ? N : never;
}[InstrumentName];

/** The labels of an instrument with their values. */
export type LabelsOf<N extends InstrumentName> = Readonly<
  Record<(typeof INSTRUMENTS)[N]["labels"][number], string>
>;

/** `docs/metrics.md`, generated. */
export function metricsDocs(): string {
  const rows = Object.entries(INSTRUMENTS).map(([name, one]: [string, Instrument]) => {
    const also = one.otel === undefined ? "" : ` (\`${one.otel}\`)`;
    const labels = one.labels.map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\`${also} | ${one.kind.replaceAll("_", "-")} | \`${one.unit}\` | ${labels} | ${one.help} |`;
  });
  return [
    "# Metrics",
    "",
    "<!-- Generated by `bun run gen`; edit src/telemetry/instruments.ts instead. -->",
    "",
    "`GET /metrics` gives all numbers in Prometheus' text exposition format, version 0.0.4; it goes on while the server drains. `METRICS_EXPORTER=otlp` sends them to `OTEL_EXPORTER_OTLP_ENDPOINT` once a minute too (`OTEL_METRIC_EXPORT_INTERVAL`), under the OpenTelemetry names in brackets where those differ; `console` writes them to the log as often, as `metrics.exported`; `none` counts nothing and answers 404.",
    "",
    "```yaml",
    "scrape_configs:",
    "  - job_name: slipstream",
    "    static_configs:",
    "      - targets: ['127.0.0.1:8000']",
    "```",
    "",
    "- Routes are templates such as `/api/v1/collections/:name/search`, and `unmatched` for addresses that no route takes. `http_server_duration_milliseconds` is in milliseconds, as in the older semantic convention.",
    `- A metric has at most ${limits.metricSeriesMax} label sets; what would be one more is counted under \`other\`, and \`metric_series_refused_total\` says how often. Scores are given of the first ${limits.metricCollectionsMax} collections.`,
    `- Engines keep their own numbers and are asked at each scrape, for ${limits.metricsWaitMs} ms at most. Of one that is busy or hangs the last numbers are shown. What an engine counted before it ended stays counted.`,
    "- Counting a request takes half a microsecond (`bun bench/request-cost.ts`).",
    "- Alerting rules are in [deploy/alerts.yml](../deploy/alerts.yml), a dashboard in [deploy/grafana/slipstream.json](../deploy/grafana/slipstream.json); tests run each of their queries against a real scrape.",
    "",
    "| name | kind | unit | labels | what it says |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}
