import { choice, integer, nonEmpty, optional, setting, type Reading } from "./readings.ts";

/** Headers as OpenTelemetry's specification writes them in one line. */
function headersReading(text: string): Reading<Readonly<Record<string, string>>> {
  const value: Record<string, string> = {};
  for (const pair of text.split(",")) {
    if (pair.trim() === "") continue;
    const [, name = "", encoded = ""] =
      /^\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
    try {
      value[name] = decodeURIComponent(encoded);
    } catch {
      return { ok: false, message: "must have percent-encoded values" };
    }
    if (name === "") return { ok: false, message: "must be name=value with commas between them" };
  }
  return { ok: true, value };
}

/** Settings of what watches the server: health, audit log, metrics and traces. */
export const WATCH_SETTINGS = {
  auditLog: setting({
    names: ["AUDIT_LOG"],
    fallback: "",
    accepts: "a folder, made if it is missing; empty takes `audit` in `DATA_DIR`",
    docs: "Where it is written down who dropped, deleted, backed up, restored or set what: a file of JSON Lines a day, kept for 30 days.",
    read: optional,
  }),
  healthDetail: setting({
    names: ["HEALTH_DETAIL"],
    fallback: "public",
    accepts: "public or off",
    docs: "Whether `/health` and `/health/ready` say how each part is, or only how all of them are together.",
    read: choice(["public", "off"] as const),
  }),
  metricsExporter: setting({
    names: ["METRICS_EXPORTER"],
    fallback: "prometheus",
    accepts: "prometheus, console, otlp or none",
    docs: "`prometheus` answers `GET /metrics`. `console` writes all numbers to the log now and then too, and `otlp` sends them to `OTEL_EXPORTER_OTLP_ENDPOINT`. `none` counts nothing.",
    read: choice(["prometheus", "console", "otlp", "none"] as const),
  }),
  metricsExportMs: setting({
    names: ["OTEL_METRIC_EXPORT_INTERVAL"],
    fallback: "60000",
    accepts: "1000 to 3600000 milliseconds",
    docs: "Time between two exports of `console` or `otlp`. The first comes after it too, and a last one when the server stops.",
    read: integer(1000, 3_600_000),
  }),
  otelEnabled: setting({
    names: ["OTEL_ENABLED"],
    fallback: "",
    accepts: "true or false; empty is true where `OTEL_EXPORTER_OTLP_ENDPOINT` is set",
    docs: "Traces. Where they are off, nothing of OpenTelemetry is loaded.",
    read: (text: string): Reading<boolean | undefined> => {
      if (text === "") return { ok: true, value: undefined };
      const given = choice(["true", "false"] as const, { 1: "true", 0: "false" })(text);
      return given.ok ? { ok: true, value: given.value === "true" } : given;
    },
  }),
  otelEndpoint: setting({
    names: ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_ENDPOINT"],
    fallback: "",
    accepts: "an http or https URL; empty is `http://localhost:4318` where it is needed",
    docs: "The collector, by OTLP over HTTP (port 4318, not gRPC's 4317). Traces go to `/v1/traces` below it, metrics to `/v1/metrics`.",
    read: (text: string): Reading<string | undefined> => {
      if (text === "") return { ok: true, value: undefined };
      const isHttp = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
      return isHttp
        ? { ok: true, value: text }
        : { ok: false, message: "must be an http or https URL" };
    },
  }),
  otelHeaders: setting({
    names: ["OTEL_EXPORTER_OTLP_HEADERS"],
    fallback: "",
    accepts: "`name=value` with commas between them, values percent-encoded",
    docs: "Headers for the collector, such as a key. They are not shown by `config print`.",
    read: headersReading,
  }),
  otelServiceName: setting({
    names: ["OTEL_SERVICE_NAME"],
    fallback: "slipstream",
    accepts: "a name",
    docs: "The service's name in traces.",
    read: nonEmpty,
  }),
  traceShare: setting({
    names: ["OTEL_TRACES_SAMPLER_ARG"],
    fallback: "1",
    accepts: "0 to 1",
    docs: "Share of the traces beginning here that are kept. A trace that began elsewhere is kept where it is kept there.",
    read: (text: string): Reading<number> => {
      const value = Number(text);
      return value >= 0 && value <= 1
        ? { ok: true, value }
        : { ok: false, message: "must be a number from 0 to 1" };
    },
  }),
  traceDetail: setting({
    names: ["TRACE_DETAIL"],
    fallback: "light",
    accepts: "light or detailed",
    docs: "`light` makes one span of each request, `detailed` one of each step of it too, which costs ten times as much.",
    read: choice(["light", "detailed"] as const),
  }),
} as const;
