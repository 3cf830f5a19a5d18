// The same by Socket.IO on Node, over WebSockets from the start. Tells its address on stdout.
//   node socket-io.mjs FOLDER, which is where install.sh put the library
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.argv[2] ?? "", "npm/package.json"));
const { Server } = require("socket.io");

const ROOM = "bench";
const http = createServer();
const server = new Server(http, { transports: ["websocket"], serveClient: false });

server.on("connection", (socket) => {
  if (socket.handshake.query.role === "publisher") {
    socket.on("publish", (data) => server.to(ROOM).emit("message", data));
  } else socket.join(ROOM);
});
http.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${http.address().port}`));
