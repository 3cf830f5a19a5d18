import { expect, test } from "bun:test";
import { openWorld } from "./world.ts";

test("a publication that a listener fails over is refused alone, and those after it are told", async () => {
  await using world = await openWorld();
  const { rooms, told } = world.life;
  rooms.listen((_sub, _frame, offset) => {
    if (offset === 1) throw new Error("a listener failed");
  });
  expect(rooms.publish("news", 1)).rejects.toThrow("a listener failed");
  expect((await rooms.publish("news", 2)).offset).toBe(2);
  expect(told.map(({ offset }) => offset)).toEqual([1, 2]);
});
