/**
 * Spans of the framework's own steps (parse, transform, handle and so on), for detailed traces. Loaded only then: it takes
 * half a second and ten times what a request costs without. Traces must have been started before.
 */
export async function loadLifeCycleSpans(serviceName: string) {
  const { opentelemetry } = await import("@elysiajs/opentelemetry");
  return opentelemetry({ serviceName });
}

export type LifeCycleSpans = Awaited<ReturnType<typeof loadLifeCycleSpans>>;
