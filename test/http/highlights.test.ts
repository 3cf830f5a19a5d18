import { expect, test } from "bun:test";
import { startServer, type TestServer } from "../support/server.ts";
import { createRules, readSearch, writeRules } from "./answers.ts";

/** The marked pieces of each hit's fields, by the offsets of the answer. */
async function marked(
  server: TestServer,
  body: Record<string, unknown>,
): Promise<Record<string, string[]>> {
  const target = "POST /api/v1/collections/rules/search";
  const { hits } = readSearch(await server.call(target, { highlight: true, ...body }));
  return Object.fromEntries(
    hits.map((hit) => [
      hit.id,
      hit.highlights.map(({ field, start, end }) => {
        const text = hit[field] ?? "";
        expect(start).toBeGreaterThanOrEqual(0);
        expect(end).toBeGreaterThan(start);
        expect(end).toBeLessThanOrEqual(text.length);
        return `${field}:${text.slice(start, end)}`;
      }),
    ]),
  );
}

test("the offsets cut exactly the words out of title and text, in order", async () => {
  await using server = await startServer();
  await createRules(server);
  await writeRules(server, [
    { id: "a", title: "Flags: the Flag", text: "🏁🏁 Flag, flagged; (FLAGS) — flagpole, unflag." },
    { id: "b", text: "é e\u0301 ﬁn 𝒻 flag" },
    { id: "c", title: "Nothing", text: "No such word." },
  ]);
  const found = await marked(server, { query: "flags" });
  expect(found).toEqual({
    a: ["title:Flags", "title:Flag", "text:Flag", "text:flagged", "text:FLAGS"],
    b: ["text:flag"],
    c: [],
  });
});

test("a word is marked in every form in which it is found", async () => {
  await using server = await startServer();
  await createRules(server);
  const pairs: [query: string, text: string, pieces: string[]][] = [
    ["cafe", "Le CAFÉ, le cafe\u0301 et les cafés.", ["CAFÉ", "cafe\u0301", "cafés"]],
    ["café", "cafe", ["cafe"]],
    ["STRASSE", "strasse Straße", ["strasse"]],
    ["racing", "He races; a race was raced. Racers!", ["races", "race", "raced"]],
    ["80", "80 km/h, not 180 or 8.0", ["80"]],
    ["дрязги", "ДРЯЗГИ!", ["ДРЯЗГИ"]],
    ["日本", "日本", ["日本"]],
    ["o'brien", "O'Brien and o brien", ["O", "Brien", "o", "brien"]],
    ["x_y", "x_y", ["x", "y"]],
    ["naïve", "naive na\u00efve nai\u0308ve", ["naive", "na\u00efve", "nai\u0308ve"]],
  ];
  for (const [index, [query, text, pieces]] of pairs.entries()) {
    const id = `d${index}`;
    await writeRules(server, [{ id, text }]);
    const found = await marked(server, { query, mode: "keyword" });
    expect([query, found[id]]).toEqual([query, pieces.map((piece) => `text:${piece}`)]);
  }
});

test("in a chunk of a long text the offsets count from that chunk's start", async () => {
  await using server = await startServer();
  await createRules(server, { chunking: { tokens_max: 32 } });
  const filler = Array.from({ length: 40 }, (_, lap) => `Lap ${lap} passes without a stop 🏁.`);
  const text = [...filler, "A chequered flag ends it.", ...filler].join(" ");
  await writeRules(server, [{ id: "a", text }]);
  for (const mode of ["hybrid", "keyword"]) {
    const found = await marked(server, { query: "chequered", mode });
    expect(found["a"]).toEqual(["text:chequered"]);
  }
});

test("without highlight nothing is marked, and a field that is not shown is not", async () => {
  await using server = await startServer();
  await createRules(server);
  await writeRules(server, [{ id: "a", title: "Flag", text: "flag" }]);
  expect(await marked(server, { query: "flag", highlight: false })).toEqual({ a: [] });
  expect(await marked(server, { query: "flag", fields: ["title"] })).toEqual({ a: ["title:Flag"] });
});
