"""Follows a graph and edits it with the `websockets` library: a client nobody here wrote.

Usage: follow.py URL. Prints one line of JSON with what it saw; any surprise is an exception.
"""

import asyncio
import json
import sys
import uuid

import websockets


async def main(url):
    async with websockets.connect(
        url + "?graphId=g&userId=python", subprotocols=["dao.v1.json"], compression="deflate"
    ) as ws:
        assert ws.subprotocol == "dao.v1.json", ws.subprotocol
        extensions = [extension.name for extension in ws.protocol.extensions]
        receive = lambda: asyncio.wait_for(ws.recv(), 20)
        welcome = json.loads(await receive())
        assert welcome["type"] == "WELCOME", welcome
        sync = json.loads(await receive())
        assert sync["type"] == "SYNC" and sync["status"] == "snapshot", sync
        assert len(sync["state"]["nodes"]) == sync["version"] == 50, sync["version"]
        ids = [str(uuid.uuid4()) for _ in range(20)]
        for n, operation in enumerate(ids):
            command = {"type": "CREATE_NODE", "payload": {"id": f"py{n}", "data": {"text": "é漢😀" * 400}}}
            frame = {"type": "COMMAND", "graphId": "g", "operationId": operation, "command": command}
            await ws.send(json.dumps(frame))
        updates, acks = [], []
        while len(acks) < len(ids):
            message = json.loads(await receive())
            (updates if message["type"] == "STATE_UPDATE" else acks).append(message)
        assert [m["version"] for m in updates] == list(range(51, 71)), updates
        assert [m["operationId"] for m in acks] == ids and all(m["type"] == "ACK" for m in acks)
        assert updates[0]["events"][0]["node"]["data"]["text"] == "é漢😀" * 400
        await (await ws.ping())
        await ws.send("this is no JSON")
        error = json.loads(await receive())
        assert error["type"] == "ERROR" and error["code"] == "BAD_REQUEST", error
        await ws.close(1000, "done")
        print(json.dumps({"extensions": extensions, "close": ws.close_code}))


asyncio.run(main(sys.argv[1]))
