/**
 * The floor: Bun's own WebSockets and `server.publish`, with nothing around them. What a publisher sends goes out as it
 * came. Tells its address on stdout.
 */
import type { Server } from "bun";

const TOPIC = "bench";

interface Data {
  isPublisher: boolean;
}

const server: Server<Data> = Bun.serve<Data>({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  fetch(request, self) {
    const isPublisher = request.url.endsWith("/publisher");
    return self.upgrade(request, { data: { isPublisher } })
      ? undefined
      : new Response("", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    open(ws) {
      if (!ws.data.isPublisher) ws.subscribe(TOPIC);
    },
    message(_, message) {
      server.publish(TOPIC, message, false);
    },
  },
});
console.log(server.url.origin);
