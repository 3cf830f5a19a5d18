// The same by `ws` on Node: a loop over the sockets of the room. Tells its address on stdout.
//   node node-ws.mjs FOLDER, which is where install.sh put the library
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.argv[2] ?? "", "npm/package.json"));
const { WebSocketServer } = require("ws");

const http = createServer((_, response) => response.writeHead(426).end());
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
const room = new Set();

server.on("connection", (socket, request) => {
  socket.on("error", () => {});
  if (request.url === "/publisher") {
    socket.on("message", (message) => {
      for (const one of room) one.send(message, { binary: false });
    });
    return;
  }
  room.add(socket);
  socket.on("close", () => room.delete(socket));
});
http.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${http.address().port}`));
