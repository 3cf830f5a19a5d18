import { expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { RecentFrames } from "../../../src/rooms/recent-frames.ts";
import { RememberedRooms } from "../../../src/rooms/remembered-rooms.ts";
import { Room } from "../../../src/rooms/room.ts";
import { fakeClock } from "./fake-clock.ts";
import { openWorld } from "./world.ts";

test("a room is the same for as long as it is used or held, and only so many are kept", async () => {
  await using world = await openWorld();
  const parts = { store: world.life.store, clock: fakeClock(), recent: new RecentFrames() };
  const forgotten: string[] = [];
  const rooms = new RememberedRooms(
    (name) => new Room(name, parts),
    (room) => void forgotten.push(room.name),
  );
  const held = rooms.get("held");
  const used = rooms.get("used");
  const many = limits.roomsRememberedMax * 2.5;
  for (let at = 0; at < many; at++) {
    rooms.get(`r${at}`);
    if (at % 1000 === 0) expect(rooms.get("used")).toBe(used);
  }
  expect(forgotten.slice(0, 3)).toEqual(["held", "r0", "r1"]);
  expect(forgotten).toHaveLength(many + 2 - limits.roomsRememberedMax);
  expect(rooms.peek("held")).toBeUndefined();
  expect(rooms.get("held")).toBe(held);
  expect(rooms.peek("held")).toBe(held);
});
