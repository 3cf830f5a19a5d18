import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Resume } from "../../../src/rooms/stream.ts";
import { follower, openWorld, span, type Follower, type World } from "./world.ts";

/** What can happen to a room and one of its readers. */
type Step =
  | { kind: "publish"; count: number; awaited: boolean }
  | { kind: "follow"; framesMax: number }
  | { kind: "drop" | "restart" }
  | { kind: "wait"; seconds: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant("publish" as const),
      count: fc.integer({ min: 1, max: 40 }),
      awaited: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant("follow" as const),
      framesMax: fc.integer({ min: 1, max: 9 }),
    }),
    fc.record({ kind: fc.constantFrom("drop" as const, "restart" as const) }),
    fc.record({
      kind: fc.constant("wait" as const),
      seconds: fc.integer({ min: 1, max: 40 }),
    }),
  ),
  { minLength: 5, maxLength: 25 },
);

const KEPT_MESSAGES = 60;
const KEPT_SECONDS = 60;

class Story {
  readonly #world: World;
  readonly #reader: Follower = follower("news");
  /** When each offset was published. */
  readonly #times: number[] = [0];
  #sent: Promise<unknown>[] = [];
  /** How many offsets the reader had when it last came. */
  #hadBefore = 0;

  constructor(world: World) {
    this.#world = world;
  }

  async run(step: Step): Promise<void> {
    switch (step.kind) {
      case "publish":
        return this.#publish(step.count, step.awaited);
      case "follow":
        return this.follow(step.framesMax);
      case "drop":
        return this.#reader.drop();
      case "restart":
        await this.settle();
        this.#reader.drop();
        await this.#world.restart();
        return undefined;
      case "wait":
        await this.settle();
        return this.#world.clock.pass(step.seconds * 1000);
    }
  }

  async settle(): Promise<void> {
    await Promise.all(this.#sent);
    this.#expectNoHole();
  }

  /** The reader comes back where it was. */
  async follow(framesMax: number): Promise<void> {
    const reader = this.#reader;
    reader.drop();
    this.#expectNoHole();
    const since = reader.resume === undefined ? undefined : { ...reader.position };
    this.#hadBefore = reader.offsets.length;
    await reader.follow(this.#world.life.rooms, { framesMax });
    this.#expectNoHole();
    if (since === undefined || reader.resume === undefined) return;
    expect(reader.resume.recovered).toBe(this.#canRecover(since.offset, reader.resume));
    expect(reader.resume.after).toBe(reader.resume.recovered ? since.offset : reader.resume.offset);
  }

  get last(): { read: number | undefined; published: number } {
    const { resume, offsets } = this.#reader;
    const read = offsets.length > this.#hadBefore ? offsets.at(-1) : resume?.after;
    return { read, published: this.#times.length - 1 };
  }

  async #publish(count: number, awaited: boolean): Promise<void> {
    for (const lap of span(1, count)) {
      this.#times.push(this.#world.clock.now());
      this.#sent.push(this.#world.life.rooms.publish("news", { lap }));
    }
    if (awaited) await this.settle();
  }

  #canRecover(offset: number, { offset: head }: Resume): boolean {
    const youngerThan = this.#world.clock.now() - KEPT_SECONDS * 1000;
    if (offset === head) return true;
    return offset >= head - KEPT_MESSAGES && (this.#times[offset + 1] ?? 0) > youngerThan;
  }

  /** What came since the reader last came back follows its position without a hole or a repetition. */
  #expectNoHole(): void {
    const { resume, offsets } = this.#reader;
    const came = offsets.slice(this.#hadBefore);
    const first = (resume?.after ?? 0) + 1;
    expect(came).toEqual(span(first, first + came.length - 1));
  }
}

async function tell(list: readonly Step[]): Promise<void> {
  await using world = await openWorld();
  await world.life.rooms.configure("news", {
    history_messages: KEPT_MESSAGES,
    history_seconds: KEPT_SECONDS,
  });
  const told = new Story(world);
  for (const step of list) await told.run(step);
  await told.follow(5);
  await told.settle();
  expect(told.last.read).toBe(told.last.published);
}

test("a reader that comes and goes gets every message once and in order, or is told that it missed some", async () => {
  await fc.assert(fc.asyncProperty(steps, tell), { numRuns: 60, seed: 20_260_101 });
}, 60_000);
