/** Something that the log should say. A Worker tells it to the thread that has the log. */
export interface StoreEvent {
  level: "info" | "warning" | "error";
  /** A constant, as `database.migrated`. */
  event: string;
  fields?: Record<string, unknown>;
}

export type TellEvent = (event: StoreEvent) => void;
