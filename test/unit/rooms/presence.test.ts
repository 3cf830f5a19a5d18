import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { LocalPresence } from "../../../src/rooms/presence.ts";
import { fakeClock } from "./fake-clock.ts";

function openPresence() {
  const clock = fakeClock();
  const told: unknown[] = [];
  const presence = new LocalPresence(clock, (sub, frame, offset) => {
    expect(offset).toBe(0);
    const { type, sub: named, ...rest } = JSON.parse(frame);
    expect({ type, sub: named }).toEqual({ type: "presence", sub });
    told.push(rest);
  });
  return { clock, told, presence };
}

describe("presence", () => {
  test("tells who joined at most once a second, in one frame a room", () => {
    const { clock, told, presence } = openPresence();
    presence.join("news", "ana");
    clock.pass(500);
    presence.join("news", "bo");
    presence.join("talk", "ana");
    expect(told).toEqual([]);
    clock.pass(500);
    expect(told).toEqual([
      { room: "news", count: 2, joined: ["ana", "bo"], left: [] },
      { room: "talk", count: 1, joined: ["ana"], left: [] },
    ]);
    clock.pass(60_000);
    expect(told).toHaveLength(2);
    expect(clock.waiting).toBe(0);
  });

  test("tells who left when ten seconds have passed, and forgets an empty room", () => {
    const { clock, told, presence } = openPresence();
    presence.join("news", "ana");
    clock.pass(1000);
    presence.leave("news", "ana");
    clock.pass(9999);
    expect(presence.of("news")).toEqual({ room: "news", count: 1, members: ["ana"] });
    expect(told).toHaveLength(1);
    clock.pass(1);
    expect(told.at(-1)).toEqual({ room: "news", count: 0, joined: [], left: ["ana"] });
    expect(presence.of("news")).toEqual({ room: "news", count: 0, members: [] });
    expect(clock.waiting).toBe(0);
  });

  test("says nothing of a session that comes back in time, and begins anew when it leaves again", () => {
    const { clock, told, presence } = openPresence();
    presence.join("news", "ana");
    clock.pass(1000);
    presence.leave("news", "ana");
    clock.pass(9000);
    presence.join("news", "ana");
    clock.pass(60_000);
    expect(told).toHaveLength(1);
    presence.leave("news", "ana");
    clock.pass(9000);
    expect(presence.of("news").count).toBe(1);
    clock.pass(1000);
    expect(told).toHaveLength(2);
  });

  test("counts a session once for all its connections", () => {
    const { clock, told, presence } = openPresence();
    presence.join("news", "ana");
    // A reconnect comes before the old connection is found to be dead.
    presence.join("news", "ana");
    presence.leave("news", "ana");
    clock.pass(60_000);
    expect(presence.of("news").count).toBe(1);
    expect(told).toHaveLength(1);
    presence.leave("news", "ana");
    presence.leave("news", "ana");
    presence.leave("elsewhere", "ana");
    clock.pass(60_000);
    expect(told).toHaveLength(2);
    presence.join("news", "ana");
    expect(presence.of("news").count).toBe(1);
  });

  test("counts everybody and names some", () => {
    const { clock, told, presence } = openPresence();
    const many = limits.presenceMembersShown * 3;
    for (let at = 0; at < many; at++) presence.join("news", `s${at}`);
    expect(presence.of("news").members).toHaveLength(limits.presenceMembersShown);
    clock.pass(1000);
    for (let at = 0; at < many - 1; at++) presence.leave("news", `s${at}`);
    clock.pass(11_000);
    expect(told).toMatchObject([{ count: many }, { count: 1 }]);
    expect(presence.of("news")).toMatchObject({ count: 1, members: [`s${many - 1}`] });
    for (const frame of told) expect(JSON.stringify(frame).length).toBeLessThan(4000);
  });

  test("takes a name of a session that JSON has to escape", () => {
    const { clock, told, presence } = openPresence();
    presence.join("news", '"a"\n');
    clock.pass(1000);
    expect(told).toMatchObject([{ joined: ['"a"\n'] }]);
  });
});
