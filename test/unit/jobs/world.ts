import { Type } from "@sinclair/typebox";
import type { JobContext, JobKind } from "../../../src/jobs/job-kind.ts";
import { createJobs, type Jobs, type JobQueue } from "../../../src/jobs/jobs.ts";
import type { JobDescription } from "../../../src/contract/jobs.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { fakeClock, type FakeClock } from "../rooms/fake-clock.ts";

export const PayloadSchema = Type.Object({ name: Type.String() });
type Payload = typeof PayloadSchema;

/** A try of a job that waits for the test to say how it ends. */
export interface Try {
  name: string;
  context: JobContext;
  end: (result?: Record<string, unknown>) => void;
  fail: (error: unknown) => void;
}

export interface World extends AsyncDisposable {
  store: LocalStore;
  clock: FakeClock;
  jobs: Jobs;
  queue: JobQueue<Payload>;
  /** In the order in which they began. */
  tries: Try[];
  /** Names of the jobs that were told that they have ended. */
  finished: string[];
  /** Every description that listeners heard. */
  told: JobDescription[];
  /** Resolves with the try at this place, once there are so many. */
  tried(place: number): Promise<Try>;
}

export interface WorldOptions {
  folder: string;
  workers?: number;
  kind?: Partial<Pick<JobKind<Payload>, "concurrency" | "retry" | "finished">>;
  /** The clock of the life before. */
  clock?: FakeClock;
}

/** A queue over a real store, with a clock that stands still. One kind of job, which does what the test says. */
export async function openWorld({
  folder,
  workers = 2,
  kind = {},
  clock = fakeClock(),
}: WorldOptions): Promise<World> {
  const store = await LocalStore.open(folder);
  const jobs = createJobs({ store, workers, clock, random: () => 1 });
  const tries: Try[] = [];
  const finished: string[] = [];
  const told: JobDescription[] = [];
  const queue = jobs.register({
    name: "told",
    payload: PayloadSchema,
    unit: "things",
    run({ name }, context) {
      const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
      tries.push({ name, context, end: (result = {}) => resolve(result), fail: reject });
      context.signal.addEventListener("abort", () => reject(context.signal.reason));
      return promise;
    },
    async finished({ name }) {
      finished.push(name);
    },
    ...kind,
  });
  jobs.listen((job) => told.push(job));
  return {
    store,
    clock,
    jobs,
    queue,
    tries,
    finished,
    told,
    tried: (place) => eventually(`try ${place} begins`, () => tries[place]),
    async [Symbol.asyncDispose]() {
      await jobs[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

/** A world that has begun, in a folder of its own. */
export async function newWorld(options: Omit<WorldOptions, "folder"> = {}): Promise<World> {
  const dir = tempDir();
  const world = await openWorld({ ...options, folder: dir.path });
  await world.jobs.start();
  return {
    ...world,
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

/** Resolves once the job is in this state. */
export function stateOf(world: World, id: string, state: string): Promise<JobDescription> {
  return eventually(`job ${id} is ${state}`, async () => {
    const job = await world.jobs.get(id);
    return job.state === state ? job : undefined;
  });
}

/** Resolves once the queue has put jobs back so many times, and waits for nothing but the clock. */
export async function queueWaits(world: World, returns: number): Promise<void> {
  await eventually("the queue waits", () => {
    const returned = world.told.filter(({ state, attempts }) => state === "queued" && attempts > 0);
    // One call removes old jobs, the other looks at the queue.
    return returned.length >= returns && world.clock.waiting === 2 ? true : undefined;
  });
}
