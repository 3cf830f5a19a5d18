import { expect, test } from "bun:test";
import { tellRooms } from "../../../src/jobs/tell-rooms.ts";
import { createRooms } from "../../../src/rooms/rooms.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { newWorld, stateOf } from "./world.ts";

test("each state of a job is published to its room, in order, and nothing of it is stored", async () => {
  await using world = await newWorld();
  using rooms = createRooms({ store: world.store });
  tellRooms(world.jobs, rooms);
  const frames: { sub: string; state: string }[] = [];
  rooms.listen((sub, frame) => {
    const { data }: { data: { state: string } } = JSON.parse(frame);
    frames.push({ sub, state: data.state });
  });
  const { id } = await world.queue.add({ name: "a" });
  (await world.tried(0)).end();
  await stateOf(world, id, "succeeded");
  const sub = `r:jobs:${id}`;
  expect(frames).toEqual(["queued", "running", "succeeded"].map((state) => ({ sub, state })));
  expect(await world.store.rooms({ after: "", limit: 10 })).toEqual([]);
});

test("a job goes on where its room cannot be told", async () => {
  using dir = tempDir();
  await using world = await newWorld();
  const elsewhere = await LocalStore.open(dir.path);
  using rooms = createRooms({ store: elsewhere });
  await elsewhere[Symbol.asyncDispose]();
  tellRooms(world.jobs, rooms);
  const { id } = await world.queue.add({ name: "a" });
  (await world.tried(0)).end();
  await stateOf(world, id, "succeeded");
});
