import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { documentIn, documentsIn, readContent } from "./files.ts";

const row = (index: number) => `${index},"é漢😀\r\n${index}"\r\n`;

describe("csv", () => {
  test("a row becomes a document, its other columns typed metadata", async () => {
    const file =
      "ID,Title,Text,Price,count,active,sku,zip,none\n" +
      "p1, Lamp ,A warm light,12.50,3,TRUE,007,1e3,\n";
    expect(await documentIn("shop.csv", file)).toEqual({
      id: "p1",
      title: "Lamp",
      text: "A warm light",
      metadata: {
        source: "shop.csv",
        format: "csv",
        Price: 12.5,
        count: 3,
        active: true,
        sku: "007",
        zip: 1000,
      },
    });
  });

  test("numbers that would lose digits stay text", async () => {
    const file = "text,a,b,c,d\nx,12345678901234567890,+49,-0.5,1e999\n";
    expect((await documentIn("a.csv", file)).metadata).toMatchObject({
      a: "12345678901234567890",
      b: "+49",
      c: -0.5,
      d: "1e999",
    });
  });

  test("quoted cells hold delimiters, quotes and line ends, and lines are still counted", async () => {
    const file = 'title,body\r\n"a, b","say ""hi""\r\nthere"\r\n\r\nplain,5" disk\r\nlast,x';
    const documents = await documentsIn("a.csv", file);
    expect(documents.map(({ id, title, text }) => [id, title, text])).toEqual([
      ["a.csv#2", "a, b", 'say "hi"\nthere'],
      ["a.csv#5", "plain", '5" disk'],
      ["a.csv#6", "last", "x"],
    ]);
  });

  test("without a text column the text is one line for each filled cell but the id", async () => {
    const document = await documentIn("a.csv", "id,name,city,zip\n1,Ada,,123\n");
    expect(document.text).toBe("name: Ada\nzip: 123");
    expect(document.metadata).toMatchObject({ name: "Ada", zip: 123 });
  });

  test("rows of the wrong width and rows without text are failures and the rest goes on", async () => {
    const file = 'id,text\n1\n2,b,c\n3,"multi\nline"\n4,\n,\n5,e\n';
    const results = await readContent("a.csv", file);
    const short = results.map((result) =>
      result.ok ? result.document.id : `${result.line}: ${result.message}`,
    );
    expect(short).toEqual([
      "2: has 1 cells where the header has 2",
      "3: has 3 cells where the header has 2",
      "3",
      "6: has no text",
      "5",
    ]);
  });

  test("a quote that is never closed ends the file with the line of its row", async () => {
    expect(await readContent("a.csv", 'id,text\n1,a\n2,"open\n3,c\n')).toMatchObject([
      { document: { id: "1" } },
      { ok: false, source: "a.csv", line: 3, message: "holds a quote that is never closed" },
    ]);
  });

  test("a row too long ends the file with its line, after the rows before it", async () => {
    const file = `id,text\n1,a\n2,${"x".repeat(limits.ndjsonLineBytesMax + 1)}\n3,c\n`;
    expect(await readContent("a.csv", file)).toMatchObject([
      { document: { id: "1" } },
      {
        ok: false,
        line: 3,
        message: "is longer than 4194304 bytes; nothing after it was read",
      },
    ]);
  });

  test("semicolons and tabs are delimiters where the header has them", async () => {
    const semicolons = await documentIn("a.csv", 'id;"a,b,c,d";text\n1;2,5;x, y\n');
    expect([semicolons.text, semicolons.metadata["a,b,c,d"]]).toEqual(["x, y", "2,5"]);
    expect((await documentIn("a.csv", "id\ttext\n1\tx, y\n")).text).toBe("x, y");
    expect((await documentIn("a.csv", "text\nx; y\n")).text).toBe("x; y");
  });

  test("a header alone, two columns of one name and an unnamed column", async () => {
    expect(await readContent("a.csv", "id,text\n")).toEqual([
      { ok: false, source: "a.csv", message: "holds a header but no rows" },
    ]);
    expect(await readContent("a.csv", "id,a,a\n1,2,3\n")).toEqual([
      { ok: false, source: "a.csv", message: 'has two columns named "a"' },
    ]);
    expect((await documentIn("a.csv", ",text\n0,x\n")).metadata).toMatchObject({ "column 1": 0 });
  });

  test("many rows come in order, though line ends and characters are parted by the stream", async () => {
    const count = 60_000;
    const file = `id,text\r\n${Array.from({ length: count }, (_, index) => row(index)).join("")}`;
    const documents = await documentsIn("a.csv", file);
    expect(documents).toHaveLength(count);
    expect(
      documents.every(({ id, text }, index) => id === `${index}` && text === `é漢😀\n${index}`),
    ).toBe(true);
  });
});
