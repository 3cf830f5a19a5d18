import type { ParsedText } from "./document.ts";
import { decodeEntities } from "./html-entities.ts";
import { firstHeading } from "./markdown.ts";
import { createTextFlow } from "./text-flow.ts";

/** Nothing inside is text of the page. `nav` and `footer` repeat on every page of a site and would drown its content. */
const DROPPED = namesOf(
  "script style template noscript nav footer svg iframe object canvas audio video noembed noframes",
);
const PARAGRAPHS = namesOf(
  "address article aside blockquote body caption center details dialog div dl fieldset figcaption figure form header hgroup hr html legend main p search section select summary table tbody tfoot thead",
);
const LINES = namesOf("dt dd option optgroup");
const LISTS = namesOf("ul ol menu");
const LEVEL_BY_HEADING = new Map([1, 2, 3, 4, 5, 6].map((level) => [`h${level}`, level]));

/** Deeper lists are indented no further. */
const LIST_DEPTH_MAX = 8;

/**
 * Open elements whose end is watched. The rewriter's time grows with their square (100,000 nested ones took 3.5 s);
 * deeper elements still begin a paragraph, only what follows their end does not.
 */
const WATCHED_ELEMENTS_MAX = 1000;

/**
 * The readable text of an HTML page as light Markdown: headings as `#` lines, list items as `- ` lines indented by their
 * depth, table rows as lines with ` | ` between cells, `pre` as a fenced block, other block elements as paragraphs.
 * Scripts, styles, templates, drawings, embedded media, `nav` and `footer` are left out, and so are all attributes
 * (`alt` too). Character references are decoded. The title is that of `<title>`, else the first `h1`.
 *
 * `<head>` itself is not skipped: its end tag may be missing, and then all of the page would seem to lie in it.
 */
export function parseHtml(html: string): ParsedText {
  const reader = createReader();
  new HTMLRewriter()
    .on("*", { element: (element) => reader.open(element) })
    .onDocument({ text: (chunk) => reader.text(chunk.text, chunk.lastInTextNode) })
    .transform(html);
  const { title, text } = reader.finish();
  const named = title === "" ? firstHeading(text) : title;
  return { ...(named !== undefined && { title: named }), text, metadata: {} };
}

/** Where text goes: into the page, `<title>`, a `<pre>`, or nowhere. */
type Target = "page" | "title" | "pre" | "dropped";

function createReader() {
  const flow = createTextFlow();
  const blocks = createBlocks(flow);
  let target: Target = "page";
  let title = "";
  let code = "";
  let node = "";

  /** Sends what is inside an element elsewhere; an element that is never closed takes the rest of the page. */
  const enter = (element: HTMLRewriterTypes.Element, next: Target) => {
    if (!element.canHaveContent) return;
    const before = target;
    target = next;
    element.onEndTag(() => {
      target = before;
      if (next === "pre") writeCode();
    });
  };
  const writeCode = () => {
    if (code.trim() !== "") flow.writeVerbatim(fenced(code));
    code = "";
    flow.paragraph();
  };

  return {
    open(element: HTMLRewriterTypes.Element) {
      if (target === "dropped") return;
      const name = element.tagName;
      if (DROPPED.has(name)) enter(element, "dropped");
      else if (name === "title") enter(element, title === "" ? "title" : "dropped");
      else if (target === "pre") code += name === "br" ? "\n" : "";
      else if (name === "pre") {
        flow.paragraph();
        enter(element, "pre");
      } else blocks.open(element);
    },
    /** The rewriter gives a text node in pieces, which may part a character reference, so the node is decoded whole. */
    text(piece: string, isLast: boolean) {
      if (target === "dropped") return;
      node += piece;
      if (!isLast) return;
      const decoded = decodeEntities(node);
      node = "";
      if (target === "title") title += decoded;
      else if (target === "pre") code += decoded;
      else flow.write(decoded);
    },
    finish() {
      writeCode();
      return { title: title.replace(/\s+/g, " ").trim(), text: flow.finish() };
    },
  };
}

/** Turns the borders of block elements into breaks and signs of the flow. */
function createBlocks(flow: ReturnType<typeof createTextFlow>) {
  let listDepth = 0;
  let watchedCount = 0;

  const watch = (element: HTMLRewriterTypes.Element, onEnd: () => void) => {
    if (!element.canHaveContent || watchedCount >= WATCHED_ELEMENTS_MAX) return;
    watchedCount++;
    element.onEndTag(() => {
      watchedCount--;
      onEnd();
    });
  };
  const endBlock = () => {
    flow.endBlock();
    flow.paragraph();
  };
  const endLine = () => {
    flow.endBlock();
    flow.line();
  };
  const list = (element: HTMLRewriterTypes.Element) => {
    const isInner = listDepth > 0;
    if (isInner) flow.line();
    else flow.paragraph();
    listDepth++;
    watch(element, () => {
      listDepth--;
      if (isInner) endLine();
      else endBlock();
    });
  };

  return {
    open(element: HTMLRewriterTypes.Element) {
      const name = element.tagName;
      const level = LEVEL_BY_HEADING.get(name);
      if (level !== undefined) {
        flow.heading(level);
        watch(element, endBlock);
      } else if (name === "li") {
        flow.listItem(Math.min(Math.max(listDepth, 1), LIST_DEPTH_MAX));
        watch(element, endLine);
      } else if (LISTS.has(name)) list(element);
      else if (name === "br") flow.lineBreak();
      else if (name === "tr") flow.row();
      else if (name === "td" || name === "th") flow.cell();
      else if (LINES.has(name)) flow.line();
      else if (PARAGRAPHS.has(name)) {
        flow.paragraph();
        watch(element, () => flow.paragraph());
      }
    },
  };
}

/** Code between fences longer than any run of backticks in it, so that nothing in it reads as a heading. */
function fenced(code: string): string {
  let longest = 2;
  for (const [run] of code.matchAll(/`+/g)) longest = Math.max(longest, run.length);
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${code.replace(/^\n/, "").trimEnd()}\n${fence}`;
}

function namesOf(list: string): ReadonlySet<string> {
  return new Set(list.split(" "));
}
