import { describe, expect, test } from "bun:test";
import { documentIn, readContent } from "./files.ts";

async function textOf(html: string): Promise<string> {
  return (await documentIn("a.html", html)).text;
}

async function titleOf(html: string): Promise<string | undefined> {
  return (await documentIn("a.html", html)).title;
}

describe("html", () => {
  test("a page becomes its title and its text, with none of its machinery", async () => {
    const page = `<!doctype html><html><head><meta charset="utf-8">
      <title>A &amp; B
      guide</title><style>p { color: red }</style><script>if (a < b) track()</script></head>
      <body><nav><a href="/">Home</a></nav><!-- hidden -->
      <h1>The <em>guide</em></h1>
      <p>First   line,<br>second line.</p><p>Next <b>bold</b>word.
      <template><p>tpl</p></template><noscript>enable</noscript><svg><title>icon</title></svg>
      <footer>(c) 2024</footer></body></html>`;
    const document = await documentIn("a.html", page);
    expect(document).toEqual({
      id: "a.html",
      title: "A & B guide",
      text: "# The guide\n\nFirst line,\nsecond line.\n\nNext boldword.",
      metadata: { source: "a.html", format: "html" },
    });
  });

  test.each([
    [
      "named",
      "&lt;p&gt; &quot;caf&eacute;&quot; &hellip; &copy; &NotEqualTilde;",
      '<p> "café" … © ≂̸',
    ],
    ["numeric", "&#65;&#x42;&#x1F600; &#39;", "AB😀 '"],
    ["of windows-1252", "it&#146;s", "it’s"],
    ["decoded once", "&amp;lt; &amp;amp;", "&lt; &amp;"],
    ["of no character", "&#0;&#xD800;&#99999999;", "\ufffd\ufffd\ufffd"],
    ["unknown or unfinished", "&bogus; a&b AT&T &copy=1 &", "&bogus; a&b AT&T &copy=1 &"],
    ["no-break space", "a&nbsp;&nbsp;b", "a b"],
  ])("character references: %s", async (_case, html, text) => {
    expect(await textOf(`<p>${html}</p>`)).toBe(text);
  });

  test("lists become lines, inner lists are indented, closing tags may be missing", async () => {
    const strict =
      "<p>Do:</p><ul><li>one</li><li>two<ol><li>inner</li><li>more</li></ol></li><li></li><li>three</li></ul>after";
    const loose = "<p>Do:<ul><li>one<li><p>two<ol><li>inner<li>more</ol><li><li>three</ul>after";
    const text = "Do:\n\n- one\n- two\n  - inner\n  - more\n- three\n\nafter";
    expect(await textOf(strict)).toBe(text);
    expect(await textOf(loose)).toBe(text);
    expect(await textOf("<ul><li><p>a</p></li><li><p>b</p></li></ul>")).toBe("- a\n\n- b");
  });

  test("table rows become lines with a bar between cells", async () => {
    const table = `<p>Before</p><table><caption>Sizes</caption>
      <thead><tr><th>Name</th><th>Size</th></tr></thead>
      <tbody><tr><td><p>a</p></td><td>1</td></tr><tr><td>b<td>2</table><p>After</p>`;
    expect(await textOf(table)).toBe("Before\n\nSizes\n\nName | Size\n\na | 1\nb | 2\n\nAfter");
  });

  test("a table used for layout keeps its headings and lists on lines of their own", async () => {
    const page = "<table><tr><td>side</td><td><h2>Main</h2><ul><li>x</ul></td></tr></table>";
    expect(await textOf(page)).toBe("side\n\n## Main\n\n- x");
  });

  test("code keeps its white space, in a fence that its content cannot close", async () => {
    expect(
      await textOf("<p>Run</p><pre><code>\n# not a heading\n  <b>a</b> &lt; b\n</code></pre>ok"),
    ).toBe("Run\n\n```\n# not a heading\n  a < b\n```\n\nok");
    expect(await textOf("<pre>a<br>```</pre>")).toBe("````\na\n```\n````");
    expect(await textOf("x<pre>never closed")).toBe("x\n\n```\nnever closed\n```");
  });

  test("headings stay on one line and an empty one leaves no sign", async () => {
    expect(await textOf("<h2>a<br>b</h2>c<h3> </h3><p>d")).toBe("## a b\n\nc\n\nd");
    expect(await textOf("<h1><div>in</div></h1>x")).toBe("# in\n\nx");
  });

  test("the title is that of the page, else its first heading, else its file's name", async () => {
    expect(await titleOf("<title>One</title><title>Two</title><h1>H</h1>")).toBe("One");
    expect(await titleOf("<svg><title>icon</title></svg><pre># no</pre><h1>H &amp; *I*</h1>")).toBe(
      "H & *I*",
    );
    expect(await titleOf("<p>x")).toBe("a");
  });

  test("a page without </head> and without html and body tags is still read", async () => {
    expect(await textOf("<head><title>T</title><body><p>x")).toBe("x");
    expect(await textOf("just text")).toBe("just text");
  });

  test("a page of scripts alone is a failure", async () => {
    expect(await readContent("a.html", "<script>app()</script><div></div>")).toEqual([
      { ok: false, source: "a.html", message: "holds no text" },
    ]);
  });

  test("elements nested by the hundred thousand are read in a moment", async () => {
    expect(await textOf(`${"<div>".repeat(200_000)}x${"</div>".repeat(200_000)}`)).toBe("x");
    const list = await textOf(`${"<ul><li>".repeat(2000)}x`);
    expect(list).toBe("- x");
  });
});
