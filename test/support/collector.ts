import { eventually } from "./process.ts";

type Attributes = Record<string, unknown>;

/** A span as it came over the wire. */
export interface CollectedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  name: string;
  kind: number;
  attributes: Attributes;
  status: number;
  service: unknown;
  /** Process that made it. */
  pid: unknown;
  /** Traces of the spans that it is linked to. */
  links: string[];
  /** The whole span as JSON, to look for what must not be in it. */
  text: string;
}

/** A metric's points as they came. */
export interface CollectedMetric {
  name: string;
  unit: string;
  kind: "sum" | "gauge" | "histogram";
  monotonic: boolean | undefined;
  points: { attributes: Attributes; value: number; counts: number[]; bounds: number[] }[];
}

/** A collector of OTLP over HTTP in JSON, on a free port. */
export interface Collector extends AsyncDisposable {
  url: string;
  spans: CollectedSpan[];
  metrics: CollectedMetric[];
  /** Requests so far, those that were refused too. */
  readonly requests: number;
  /** Answers 503 from now on, or does not any more. */
  refuse(refusing: boolean): void;
  /** Resolves with the first span like that. */
  span(name: string): Promise<CollectedSpan>;
}

/** `keep` false takes everything and remembers nothing. */
export function startCollector({ keep = true }: { keep?: boolean } = {}): Collector {
  const spans: CollectedSpan[] = [];
  const metrics: CollectedMetric[] = [];
  let refusing = false;
  let requests = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      requests++;
      const body = record(await request.json());
      if (!keep) return Response.json({});
      if (refusing) return new Response("later", { status: 400 });
      const { pathname } = new URL(request.url);
      if (pathname === "/v1/traces") spans.push(...readSpans(body));
      else if (pathname === "/v1/metrics") metrics.push(...readMetrics(body));
      else return new Response("", { status: 404 });
      return Response.json({});
    },
  });
  return {
    url: server.url.origin,
    spans,
    metrics,
    get requests() {
      return requests;
    },
    refuse: (next) => void (refusing = next),
    span: (name) => eventually(`a span ${name}`, () => spans.find((one) => one.name === name)),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function readSpans(body: Attributes): CollectedSpan[] {
  return list(body["resourceSpans"]).flatMap((one) => {
    const resource = attributesOf(record(one["resource"]));
    return list(one["scopeSpans"]).flatMap((scope) =>
      list(scope["spans"]).map((span) => {
        const parent = span["parentSpanId"];
        return {
          traceId: String(span["traceId"]),
          spanId: String(span["spanId"]),
          parentSpanId: typeof parent === "string" ? parent : undefined,
          name: String(span["name"]),
          kind: Number(span["kind"]),
          attributes: attributesOf(span),
          status: Number(record(span["status"])["code"] ?? 0),
          service: resource["service.name"],
          pid: resource["process.pid"],
          links: list(span["links"]).map((link) => String(link["traceId"])),
          text: JSON.stringify(span),
        };
      }),
    );
  });
}

function readMetrics(body: Attributes): CollectedMetric[] {
  return list(body["resourceMetrics"]).flatMap((one) =>
    list(one["scopeMetrics"]).flatMap((scope) =>
      list(scope["metrics"]).map((metric) => {
        const kind = (["sum", "gauge", "histogram"] as const).find((name) => name in metric);
        if (kind === undefined) throw new Error(`${JSON.stringify(metric)} has no points`);
        const data = record(metric[kind]);
        return {
          name: String(metric["name"]),
          unit: String(metric["unit"]),
          kind,
          monotonic: data["isMonotonic"] === undefined ? undefined : data["isMonotonic"] === true,
          points: list(data["dataPoints"]).map((point) => ({
            attributes: attributesOf(point),
            value: Number(point["asDouble"] ?? point["sum"] ?? Number.NaN),
            counts: numbers(point["bucketCounts"]),
            bounds: numbers(point["explicitBounds"]),
          })),
        };
      }),
    ),
  );
}

function attributesOf(one: Attributes): Attributes {
  return Object.fromEntries(
    list(one["attributes"]).map((attribute) => {
      const [value] = Object.values(record(attribute["value"]));
      return [String(attribute["key"]), value];
    }),
  );
}

function numbers(value: unknown): number[] {
  return Array.isArray(value) ? value.map(Number) : [];
}

function list(value: unknown): Attributes[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function record(value: unknown): Attributes {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** Traces of tests, all of them sent to a collector. */
export function traceConfig({ url }: Pick<Collector, "url">, traceDetail: TraceDetail = "light") {
  return {
    otelEnabled: true,
    otelEndpoint: url,
    otelHeaders: {},
    otelServiceName: "tests",
    traceDetail,
    traceShare: 1,
  };
}

type TraceDetail = "light" | "detailed";
