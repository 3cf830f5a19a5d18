/** `&#38;`, `&#x26;` with or without the semicolon, and `&name;` with it. */
const REFERENCE = /&(?:#\d{1,8};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{0,31};)/g;

const windows1252 = new TextDecoder("windows-1252");

/**
 * HTML text with its character references decoded, each once: `&amp;lt;` becomes `&lt;`. All names of HTML are known,
 * through the table in Bun's Markdown parser (CommonMark 0.31, section 2.5, takes the names of HTML 5). A name needs
 * its semicolon; what is no reference stays as it is.
 */
export function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(REFERENCE, (reference) => {
    if (!reference.startsWith("&#")) return named(reference);
    const isHex = /^&#x/i.test(reference);
    return codePoint(Number.parseInt(reference.slice(isHex ? 3 : 2), isHex ? 16 : 10));
  });
}

/** HTML standard, 13.2.5.80: numbers 128 to 159 mean windows-1252, and what is no character becomes U+FFFD. */
function codePoint(code: number): string {
  if (code >= 0x80 && code <= 0x9f) return windows1252.decode(Uint8Array.of(code));
  if (code === 0 || code > 0x10_ffff || (code >= 0xd800 && code <= 0xdfff)) return "\ufffd";
  return String.fromCodePoint(code);
}

const known = new Map<string, string>();

function named(reference: string): string {
  const earlier = known.get(reference);
  if (earlier !== undefined) return earlier;
  // A letter on each side keeps the parser from trimming references to white space.
  const decoded = Bun.markdown.render(`x${reference}x`, {}).slice(1, -1);
  // Only real names are kept, so the map cannot outgrow the standard's table.
  if (decoded !== reference) known.set(reference, decoded);
  return decoded;
}
