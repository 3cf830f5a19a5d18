import { Elysia } from "elysia";
import { Problem } from "../../problems.ts";
import { metrics } from "../../telemetry/metrics.ts";
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from "../../telemetry/prometheus-text.ts";

const detail = {
  tags: ["Operations"],
  description: "All numbers in Prometheus' text exposition format, version 0.0.4.",
  responses: {
    200: {
      description: "The numbers now.",
      content: { "text/plain": { schema: { type: "string" as const } } },
    },
  },
};

/** What Prometheus scrapes. */
export const metricsRoutes = () => {
  // Two scrapes at a time want the same numbers.
  let underway: Promise<string> | undefined;
  return new Elysia({ name: "metrics-routes" }).get(
    "/metrics",
    async () => {
      if (!metrics.enabled) throw new Problem("not_found", "METRICS_EXPORTER is none.");
      underway ??= metrics
        .collect()
        .then(prometheusText)
        .finally(() => (underway = undefined));
      return new Response(await underway, { headers: { "content-type": PROMETHEUS_CONTENT_TYPE } });
    },
    { detail },
  );
};
