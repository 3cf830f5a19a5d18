/** A collector of OTLP over HTTP that takes everything: in a process of its own, so that its work is not the server's. */
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    await request.arrayBuffer();
    return Response.json({});
  },
});
process.send?.(server.url.origin);
process.on("disconnect", () => process.exit(0));
