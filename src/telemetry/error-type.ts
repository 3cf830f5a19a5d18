/** What a span may say of an error: its kind. A message may repeat what somebody wrote. */
export function errorTypeOf(error: unknown): string {
  return error instanceof Error ? error.name : "unknown";
}
