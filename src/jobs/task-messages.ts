import type { Failure } from "../failure.ts";

/** What goes down to a child that does a job's heavy work. */
export type ToTask =
  | { type: "task"; name: string; args: unknown }
  /** The last item is done with. */
  | { type: "more" };

/** What comes back: any number of items, one at a time, then one of the others. */
export type FromTask =
  | { type: "item"; value: unknown }
  | { type: "done"; value: unknown }
  | { type: "failed"; failure: Failure };

/** Does one task; `give` resolves when the parent is done with the item. */
export type Task = (args: never, give: (item: unknown) => Promise<void>) => Promise<unknown>;
