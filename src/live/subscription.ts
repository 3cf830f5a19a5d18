import type { LiveStream } from "../rooms/stream.ts";

/** One connection's subscription to a room or a standing query. */
export interface Subscription {
  readonly stream: LiveStream;
  /** Undefined for a standing query. */
  readonly room: string | undefined;
  /** What has been sent: the replay goes on after it. Means nothing once it is live. */
  after: number;
  /** Where its replay began. */
  readonly since: number;
  readonly presence: boolean;
  /** Lets go of a standing query. */
  readonly release: (() => void) | undefined;
  ended: boolean;
}
