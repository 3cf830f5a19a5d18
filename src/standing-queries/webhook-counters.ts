/** What is counted of webhooks, since the start. */
export interface WebhookCounters {
  /** Requests that were sent, and those of them that failed. */
  requests: number;
  failures: number;
  /** Matches that were taken, and that were not in as many tries as there may be. */
  delivered: number;
  givenUp: number;
  /** Webhooks that wanted nothing more. */
  disabled: number;
  /** How often matches were no longer known. */
  lost: number;
  /** How often there was no room for more matches to wait. */
  held: number;
}

export function newWebhookCounters(): WebhookCounters {
  return { requests: 0, failures: 0, delivered: 0, givenUp: 0, disabled: 0, lost: 0, held: 0 };
}
