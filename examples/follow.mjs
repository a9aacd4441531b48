// Follows a graph and edits it: what an editor does, in one file without libraries.
//
//   node --experimental-websocket examples/follow.mjs [graph] [seconds]
//
// Node 20.10 or newer; from 22 on the flag is not needed. Without seconds it stays until Ctrl-C. But for the lines that
// read `process`, a browser runs it as it is. The algorithm is that of "How a client works" in docs/protocol.md.

const [graph = "demo", seconds] = process.argv.slice(2);
const server = process.env.DAO_URL ?? "ws://127.0.0.1:3000";

// One for each tab, as long as the tab lives: its own edits never conflict with each other. Two tabs have two.
const clientId = `follow-${crypto.randomUUID()}`;
// The version and hash that this client has applied. It would be kept over a reload, with the graph.
let point = null;
// Operations that have not ended: id → the exact frame, to be sent again under the same id.
const pending = new Map();
let waitMs = 250;

function connect() {
  const socket = new WebSocket(`${server}/ws?userId=ada&clientId=${clientId}`, ["dao.v1.json"]);
  const say = (frame) => socket.send(JSON.stringify(frame));
  let pinging;

  socket.onopen = () => say({ type: "SUBSCRIBE", graphId: graph, ...point, pending: [...pending.keys()] });
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    switch (frame.type) {
      case "WELCOME":
        // JavaScript does not see the server's pings, so this client sends its own.
        pinging = setInterval(() => say({ type: "PING" }), frame.heartbeatMs / 2);
        break;
      case "SYNC":
        waitMs = 250;
        synced(frame, say);
        break;
      case "STATE_UPDATE":
        if (frame.version > point.version + 1) return socket.close(); // a gap: connect again from the point
        if (frame.version <= point.version) return; // a repeat
        point = { version: frame.version, hash: frame.hash };
        pending.delete(frame.operationId);
        console.log(`v${frame.version} ${frame.userId}:`, frame.events.map((event) => event.type).join(", "));
        break;
      case "ACK":
        pending.delete(frame.operationId);
        console.log(`${frame.operationId} is ${frame.outcome}`);
        break;
      case "REVERT":
        if (frame.temporary) {
          setTimeout(() => socket.readyState === 1 && say(pending.get(frame.operationId)), frame.retryAfterMs ?? 1000);
        } else if (frame.code === "HISTORY_REPLACED") {
          // It was made in a history that is no more. Judged from the empty graph on, nobody's work is lost.
          const again = pending.get(frame.operationId);
          say(Object.assign(again, { clientVersion: 0, clientHash: "0".repeat(64) }));
        } else {
          pending.delete(frame.operationId);
          console.log(`${frame.operationId} was refused: ${frame.message}`);
        }
        break;
      case "ERROR":
        console.log(`${frame.code}: ${frame.message}`);
        break;
    }
  };
  socket.onclose = () => {
    clearInterval(pinging);
    setTimeout(connect, waitMs * (0.5 + Math.random()));
    waitMs = Math.min(waitMs * 2, 10_000);
  };
}

function synced(frame, say) {
  const isFirst = point === null;
  // "replay": the missing commits follow, and the point moves with them.
  if (frame.status !== "replay") point = { version: frame.version, hash: frame.hash };
  if (frame.status === "snapshot") {
    console.log(`v${frame.version}: ${frame.state.nodes.length} nodes, ${frame.state.edges.length} edges`);
  }
  for (const { operationId, status } of frame.settled) {
    if (status !== "unknown") pending.delete(operationId);
  }
  for (const again of pending.values()) say(again);
  if (isFirst) edit(say, { type: "CREATE_NODE", payload: { position: { x: 0, y: 0 }, data: { label: "Hello" } } });
}

function edit(say, command) {
  const operationId = crypto.randomUUID();
  const frame = { type: "COMMAND", graphId: graph, operationId, clientVersion: point.version, clientHash: point.hash, command };
  pending.set(operationId, frame);
  say(frame);
}

connect();
if (seconds) setTimeout(() => process.exit(), Number(seconds) * 1000);
