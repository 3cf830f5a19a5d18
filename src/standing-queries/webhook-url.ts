import { isIP } from "node:net";
import { utf8Bytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { privateReasonOf } from "./public-address.ts";

/**
 * The address of a webhook as it is kept. With `privateAddresses` it may be anywhere and plain; else it is https and no
 * private IP address. What a name stands for is looked up, and checked, when something is sent.
 * @throws Problem `invalid_request`
 */
export function readWebhookUrl(
  text: string,
  { privateAddresses }: { privateAddresses: boolean },
): string {
  if (!URL.canParse(text)) throw wrong("must be a URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && !(privateAddresses && url.protocol === "http:")) {
    throw wrong(privateAddresses ? "must be an http or https URL" : "must be an https URL");
  }
  // They would be shown wherever the URL is.
  if (url.username !== "" || url.password !== "") throw wrong("must hold no user and no password");
  if (url.hash !== "") throw wrong("must have no fragment: it would not be sent");
  if (utf8Bytes(url.href) > limits.webhookUrlBytesMax)
    throw wrong(`must be at most ${limits.webhookUrlBytesMax} bytes`);
  const address = addressIn(url);
  const reason = address === undefined ? undefined : privateReasonOf(address);
  if (!privateAddresses && reason !== undefined)
    throw wrong(`must be of the public internet: its address is not (${reason})`);
  return url.href;
}

/** The IP address that stands in a URL in the place of a name. */
export function addressIn({ hostname }: Pick<URL, "hostname">): string | undefined {
  const plain = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  return isIP(plain) === 0 ? undefined : plain;
}

function wrong(message: string): Problem {
  const field = "/webhook/url";
  return new Problem("invalid_request", `${field} ${message}.`, { errors: [{ field, message }] });
}
