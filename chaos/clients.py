"""The clients of a run: writers, readers, followers, readers of all graphs, consumers of a subscription.

Each records what it sees before it acts on it. None of them is told what the faults are.
"""

import asyncio
import json
import random
import time
import uuid

import websockets

ANSWER_PATIENCE = 8
SUBSCRIPTION = "chaos"


class Unknown(Exception):
    """No answer, or one that says to try again."""


class Http:
    """HTTP/1.1 over one kept connection, made again when it breaks."""

    def __init__(self, port):
        self.port, self.streams = port, None

    async def ask(self, method, path, body=None, user="chaos", accept="application/json"):
        try:
            return await asyncio.wait_for(self._ask(method, path, body, user, accept), ANSWER_PATIENCE)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise Unknown(repr(error)) from error

    async def _ask(self, method, path, body, user, accept):
        status, headers, reader = await self.begin(method, path, body, user, accept)
        if "content-length" in headers:
            data = await reader.readexactly(int(headers["content-length"]))
        else:
            data = b"".join([piece async for piece in chunks(reader)])
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, headers, json.loads(data) if data else None

    async def begin(self, method, path, body, user, accept):
        """Sends a request; returns the head of the answer and where its body is."""
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26)
        reader, writer = self.streams
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: {accept}\r\nX-User-Id: {user}\r\n"
        if method != "GET":
            head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        writer.write(head.encode() + b"\r\n" + data)
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        return int(lines[0].split(" ")[1]), headers, reader

    def close(self):
        if self.streams:
            self.streams[1].transport.abort()
            self.streams = None


async def chunks(reader):
    while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")


class Writer:
    """Sends operations, and each again under its id until it is answered."""

    def __init__(self, world, number, way):
        self.world, self.number, self.way = world, number, way
        self.random = random.Random(f"{world.seed}-writer-{number}")
        self.http, self.socket = None, None
        self.nodes = {graph: [] for graph in world.graphs}
        self.made = 0

    async def run(self):
        """Until the world ends; then until all that was begun is settled."""
        while not self.world.stopping.is_set():
            batch = [self.operation() for _ in range(5 if self.way == "batch" else 1)]
            graph = self.random.choice(self.world.graphs)
            await self.settle(graph, [self.fill(graph, operation) for operation in batch])
            await asyncio.sleep(self.random.expovariate(1 / self.world.pause))

    def operation(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def fill(self, graph, operation):
        own, dice = self.nodes[graph], self.random.random()
        if dice < 0.03:
            return operation, {"type": "DELETE_NODE", "payload": {"nodeId": "nobody-made-this"}}
        if dice < 0.35 or not own:
            self.made += 1
            own.append(f"w{self.number}-{self.made}")
            position = {"x": self.made, "y": self.number}
            return operation, {"type": "CREATE_NODE", "payload": {"id": own[-1], "position": position}}
        node = self.random.choice(own)
        if dice < 0.45 and len(own) > 3:
            own.remove(node)
            return operation, {"type": "DELETE_NODE", "payload": {"nodeId": node}}
        if dice < 0.7:
            updates = {"data": {"label": operation, "n": self.random.randrange(1000)}}
            return operation, {"type": "UPDATE_NODE", "payload": {"nodeId": node, "updates": updates}}
        position = {"x": self.random.randrange(10_000), "y": self.random.randrange(10_000)}
        return operation, {"type": "UPDATE_NODE_POSITION", "payload": {"nodeId": node, "position": position}}

    async def settle(self, graph, operations):
        for operation, _ in operations:
            self.world.recorder.say("sent", op=operation, graph=graph, way=self.way)
        while operations:
            try:
                answered = await {"http": self.by_http, "batch": self.by_batch, "socket": self.by_socket}[self.way](graph, operations)
            except Unknown:
                answered = set()
            operations = [each for each in operations if each[0] not in answered]
            if operations:
                self.world.again += 1
                await asyncio.sleep(self.random.uniform(0.05, 0.4))

    def acknowledged(self, graph, operation, answer):
        duplicate = {"duplicate": True} if answer.get("duplicate") else {}
        fields = {"version": answer["version"], "hash": answer["hash"], "changed": answer["outcome"] != "unchanged"}
        self.world.recorder.say("answered", op=operation, graph=graph, result="acknowledged", **fields, **duplicate)

    def refused(self, graph, operation, problem):
        """Whether it is settled."""
        if problem["status"] in (408, 429, 500, 503):
            if problem["status"] == 500:
                self.world.wrong(f"{graph}: operation {operation} was answered with {problem}")
            return False
        self.world.recorder.say("answered", op=operation, graph=graph, result="refused", code=problem["code"])
        return True

    def connection(self):
        if self.http is None or self.random.random() < 0.02:
            if self.http:
                self.http.close()
            self.http = Http(self.random.choice(self.world.ports))
        return self.http

    async def by_http(self, graph, operations):
        ((operation, command),) = operations
        body = {**command, "operationId": operation, "clientId": f"w{self.number}"}
        try:
            status, _, answer = await self.connection().ask("POST", f"/graphs/{graph}/command", body)
        except Unknown:
            self.http = None
            raise
        if status == 200:
            self.acknowledged(graph, operation, answer)
            return {operation}
        return {operation} if self.refused(graph, operation, answer) else set()

    async def by_batch(self, graph, operations):
        members = [{**command, "operationId": operation} for operation, command in operations]
        body = {"operations": members, "clientId": f"w{self.number}"}
        try:
            status, _, answer = await self.connection().ask("POST", f"/graphs/{graph}/batch", body)
        except Unknown:
            self.http = None
            raise
        if status != 200:
            self.refused(graph, "a batch", answer) and self.world.wrong(f"a batch was refused: {answer}")
            return set()
        settled = set()
        for (operation, _), result in zip(operations, answer["results"]):
            if result["accepted"]:
                self.acknowledged(graph, operation, result)
                settled.add(operation)
            elif self.refused(graph, operation, result["error"]):
                settled.add(operation)
        return settled

    async def by_socket(self, graph, operations):
        ((operation, command),) = operations
        try:
            return await asyncio.wait_for(self.exchange(graph, operation, command), ANSWER_PATIENCE)
        except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as error:
            self.socket = None
            raise Unknown(repr(error)) from error

    async def exchange(self, graph, operation, command):
        if self.socket is None:
            port = self.random.choice(self.world.ports)
            url = f"ws://127.0.0.1:{port}/ws?userId=chaos&clientId=w{self.number}"
            self.socket = await websockets.connect(url, subprotocols=["dao.v1.json"], open_timeout=5, close_timeout=1)
        frame = {"type": "COMMAND", "graphId": graph, "operationId": operation, "command": command}
        await self.socket.send(json.dumps(frame))
        while True:
            answer = json.loads(await self.socket.recv())
            if answer.get("operationId") != operation:
                continue
            if answer["type"] == "ACK":
                self.acknowledged(graph, operation, answer)
                return {operation}
            if answer["type"] == "REVERT" and not answer["temporary"]:
                if answer["code"] == "HISTORY_DAMAGED":
                    self.world.wrong(f"{graph}: operation {operation} was answered with {answer}")
                    return set()
                self.world.recorder.say("answered", op=operation, graph=graph, result="refused", code=answer["code"])
                return {operation}
            return set()


class Reader:
    """Asks for heads, through any server."""

    def __init__(self, world, number):
        self.world, self.random = world, random.Random(f"{world.seed}-reader-{number}")

    async def run(self):
        while not self.world.stopping.is_set():
            graph = self.random.choice(self.world.graphs)
            http = Http(self.random.choice(self.world.ports))
            begin = time.monotonic_ns()
            try:
                status, headers, answer = await http.ask("GET", f"/graphs/{graph}/changes?since=0&limit=1")
            except Unknown:
                status = 0
            if status == 200 and headers.get("x-stale") != "true":
                fields = {"version": answer["currentVersion"], "hash": answer["hash"]}
                self.world.recorder.say("read", graph=graph, begin=begin, **fields)
            elif status == 500:
                self.world.wrong(f"{graph}: a read was answered with {answer}")
            http.close()
            await asyncio.sleep(self.random.uniform(0.02, 0.1))


class Follower:
    """Follows graphs over one socket, and resumes wherever that breaks."""

    def __init__(self, world, number, graphs):
        self.world, self.name, self.graphs = world, f"f{number}", graphs
        self.random = random.Random(f"{world.seed}-follower-{number}")
        self.points = {}

    async def run(self):
        while True:
            try:
                await self.session(self.random.choice(self.world.ports))
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException, EOFError):
                pass
            await asyncio.sleep(self.random.uniform(0.05, 0.5))

    async def session(self, port):
        url = f"ws://127.0.0.1:{port}/ws?userId={self.name}"
        async with websockets.connect(url, subprotocols=["dao.v1.json"], max_size=None, open_timeout=5, close_timeout=1) as socket:
            for graph in self.graphs:
                await self.subscribe(socket, graph)
            while True:
                frame = json.loads(await asyncio.wait_for(socket.recv(), 90))
                await self.take(socket, frame)

    async def subscribe(self, socket, graph):
        point = self.points.get(graph)
        resume = {"version": point[0], "hash": point[1]} if point else {}
        await socket.send(json.dumps({"type": "SUBSCRIBE", "graphId": graph, **resume}))

    async def take(self, socket, frame):
        graph, kind = frame.get("graphId"), frame["type"]
        if kind == "SYNC":
            point = self.points.get(graph)
            held = {"version": point[0], "hash": point[1]} if point else None
            fields = {"status": frame["status"], "version": frame["version"], "hash": frame["hash"], "from": held}
            self.world.recorder.say("sync", follower=self.name, graph=graph, **fields)
            if frame["status"] == "snapshot":
                self.points[graph] = (frame["version"], frame["hash"])
        elif kind == "STATE_UPDATE":
            fields = {"version": frame["version"], "hash": frame["hash"], "op": frame["operationId"]}
            self.world.recorder.say("frame", follower=self.name, graph=graph, **fields)
            self.points[graph] = (frame["version"], frame["hash"])
        elif kind == "ERROR" and graph:
            if frame["code"] == "HISTORY_DAMAGED":
                self.world.wrong(f"{graph}: a follower was told {frame}")
            await asyncio.sleep(0.3)
            await self.subscribe(socket, graph)
        elif kind == "GOODBYE":
            raise EOFError


class EventReader:
    """Reads the commits of all graphs as lines, from the beginning, and resumes by position."""

    def __init__(self, world, number):
        self.world, self.name = world, f"r{number}"
        self.random = random.Random(f"{world.seed}-events-{number}")
        self.position = "0"

    async def run(self):
        while True:
            http = Http(self.random.choice(self.world.ports))
            try:
                await self.read(http)
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError, asyncio.LimitOverrunError):
                pass
            finally:
                http.close()
            await asyncio.sleep(self.random.uniform(0.05, 0.5))

    async def read(self, http):
        path = f"/events?since={self.position}&follow=true"
        begun = http.begin("GET", path, None, self.name, "application/x-ndjson")
        status, _, reader = await asyncio.wait_for(begun, ANSWER_PATIENCE)
        if status != 200:
            return
        rest, pieces = b"", chunks(reader)
        while True:
            rest += await asyncio.wait_for(anext(pieces, b""), 60)
            *lines, rest = rest.split(b"\n")
            for line in filter(None, lines):
                self.take(json.loads(line))

    def take(self, line):
        if "error" in line:
            return
        if "graphId" in line:
            fields = {"graph": line["graphId"], "version": line["version"], "hash": line["hash"]}
            self.world.recorder.say("event", reader=self.name, **fields)
        self.position = line.get("position", self.position)


class Consumer:
    """Takes deliveries of the subscription that all consumers share, and acknowledges them."""

    def __init__(self, world, number):
        self.world, self.random = world, random.Random(f"{world.seed}-consumer-{number}")

    async def run(self):
        while True:
            http = Http(self.random.choice(self.world.ports))
            try:
                while True:
                    await self.take(http)
            except Unknown:
                pass
            finally:
                http.close()
            await asyncio.sleep(self.random.uniform(0.05, 0.5))

    async def take(self, http):
        status, _, answer = await http.ask("POST", f"/subscriptions/{SUBSCRIPTION}/next?max=200&wait=1000")
        if status == 405:
            status, _, answer = await http.ask("GET", f"/subscriptions/{SUBSCRIPTION}/next?max=200&wait=1000")
        if status != 200:
            raise Unknown(status)
        for delivery in answer["deliveries"]:
            commit = delivery["commit"]
            fields = {"graph": commit["graphId"], "version": commit["version"], "hash": commit["hash"]}
            self.world.recorder.say("delivery", subscription=SUBSCRIPTION, **fields)
        if answer["deliveries"]:
            ids = [delivery["deliveryId"] for delivery in answer["deliveries"]]
            await http.ask("POST", f"/subscriptions/{SUBSCRIPTION}/ack", {"deliveryIds": ids})
