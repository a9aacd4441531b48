"""Real processes on loopback: Redis alone or as a cluster, servers, workers, and a proxy that can be cut.

Everything is killed when the run ends, however it ends.
"""

import asyncio
import binascii
import os
import random
import signal
import socket
import subprocess
import sys

NODE_TIMEOUT_MS = 2000
START_PATIENCE = 60
SLOTS = [(0, 5460), (5461, 10922), (10923, 16383)]


def free_ports(count):
    """Below the range that the kernel takes ports of outgoing connections from, and with room for cluster buses."""
    found = []
    while len(found) < count:
        port = random.SystemRandom().randrange(12_000, 20_000)
        try:
            for each in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
            if port not in found:
                found.append(port)
        except OSError:
            continue
    return found


def slot_of(key):
    """The slot of a key, by its hash tag."""
    start = key.find("{")
    end = key.find("}", start + 1)
    tag = key[start + 1 : end] if 0 <= start < end - 1 else key
    return binascii.crc_hqx(tag.encode(), 0) % 16384


class RedisError(Exception):
    pass


class Redis:
    """One redis-server, and a connection to it for commands of the run."""

    def __init__(self, port, directory, settings):
        self.port, self.directory, self.settings = port, directory, settings
        self.process = None
        os.makedirs(directory, exist_ok=True)

    def start(self):
        log = open(os.path.join(self.directory, "log"), "ab")
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", self.directory, "--save", ""]
            + ["--appendonly", "yes", "--repl-diskless-sync-delay", "0"] + self.settings,
            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    async def command(self, *words, patience=10):
        return await asyncio.wait_for(self._command(words), patience)

    async def _command(self, words):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26)
        try:
            encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            writer.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in encoded))
            return await read_reply(reader)
        finally:
            writer.close()

    async def info(self, section):
        text = (await self.command("INFO", section)).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    async def wait(self, what, seen, patience=START_PATIENCE):
        """Until `seen`, an async function, says so."""
        end = asyncio.get_running_loop().time() + patience
        while True:
            try:
                if await seen():
                    return
            except (OSError, RedisError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                pass
            if asyncio.get_running_loop().time() > end:
                raise TimeoutError(f"redis-server {self.port}: not {what} in {patience} s")
            await asyncio.sleep(0.05)

    async def ready(self):
        async def answers():
            return await self.command("PING") == b"PONG"

        await self.wait("ready", answers)


async def read_reply(reader):
    line = (await reader.readuntil(b"\r\n"))[:-2]
    kind, rest = line[:1], line[1:]
    if kind == b"+":
        return rest
    if kind == b"-":
        raise RedisError(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"$":
        if rest == b"-1":
            return None
        return (await reader.readexactly(int(rest) + 2))[:-2]
    if kind == b"*":
        return [await read_reply(reader) for _ in range(int(rest))] if rest != b"-1" else None
    raise RedisError(f"not understood: {line!r}")


class Cluster:
    """Three primaries and the replica of each."""

    def __init__(self, directory):
        ports = free_ports(6)
        settings = ["--appendfsync", "everysec", "--cluster-enabled", "yes"]
        settings += ["--cluster-node-timeout", str(NODE_TIMEOUT_MS)]
        self.nodes = [Redis(port, os.path.join(directory, f"redis-{port}"), settings) for port in ports]
        self.elections = 0

    async def start(self):
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.nodes, 1):
            await node.ready()
            await node.command("CLUSTER", "SET-CONFIG-EPOCH", number)
        for node in self.nodes[1:]:
            await node.command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        for node, (first, last) in zip(self.nodes, SLOTS):
            await node.command("CLUSTER", "ADDSLOTSRANGE", first, last)
        await self.whole()
        for primary, replica in zip(self.nodes[:3], self.nodes[3:]):
            name = (await primary.command("CLUSTER", "MYID")).decode()

            async def follows(replica=replica, name=name):
                return await replica.command("CLUSTER", "REPLICATE", name) == b"OK"

            await replica.wait("a replica", follows)
        await self.replicated()

    async def whole(self, patience=START_PATIENCE):
        for node in self.nodes:
            async def complete(node=node):
                info = (await node.command("CLUSTER", "INFO")).decode()
                return "cluster_state:ok" in info and "cluster_known_nodes:6" in info

            await node.wait("part of a whole cluster", complete, patience)

    async def replicated(self, patience=START_PATIENCE):
        """Every node runs, and every primary has a replica that is level with it."""
        await self.whole(patience)

        async def level():
            roles = [await node.info("replication") for node in self.nodes]
            primaries = [role for role in roles if role["role"] == "master"]
            replicas = [role for role in roles if role["role"] == "slave"]
            served = [role for role in primaries if role.get("connected_slaves", "0") != "0"]
            return len(served) == 3 and len(replicas) == 3 and all(r["master_link_status"] == "up" for r in replicas)

        await self.nodes[0].wait("replicated", level, patience)

    def url(self):
        return "redis-cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:3])

    async def roles(self):
        """(primaries, replicas), of those that answer."""
        primaries, replicas = [], []
        for node in self.nodes:
            try:
                role = (await node.info("replication"))["role"]
            except (OSError, RedisError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                continue
            (primaries if role == "master" else replicas).append(node)
        return primaries, replicas

    async def owners(self):
        """The primaries by the port that the slots say, each with its slots."""
        owners = {}
        primaries, _ = await self.roles()
        for first, last, primary, *_ in await primaries[0].command("CLUSTER", "SLOTS"):
            owners.setdefault(primary[1], []).extend(range(first, last + 1))
        return owners

    def node(self, port):
        return next(node for node in self.nodes if node.port == port)

    async def epoch(self):
        primaries, _ = await self.roles()
        info = (await primaries[0].command("CLUSTER", "INFO")).decode()
        return int(next(line.split(":")[1] for line in info.splitlines() if line.startswith("cluster_current_epoch")))

    async def replica_of(self, primary):
        name = (await primary.command("CLUSTER", "MYID")).decode()
        rows = [row.split() for row in (await primary.command("CLUSTER", "NODES")).decode().splitlines()]
        ports = [int(row[1].split("@")[0].split(":")[1]) for row in rows if row[3] == name and "fail" not in row[2]]
        return self.node(ports[0])

    async def move(self, slots, source, target):
        """Moves slots with their keys, as `redis-cli --cluster reshard` does; returns how many keys went."""
        here, there = [(await node.command("CLUSTER", "MYID")).decode() for node in (source, target)]
        moved, (primaries, _) = 0, await self.roles()
        for slot in slots:
            await target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", here)
            await source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
            while keys := await source.command("CLUSTER", "GETKEYSINSLOT", slot, 20):
                await source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
                moved += len(keys)
            for node in [target, source] + [n for n in primaries if n not in (source, target)]:
                await node.command("CLUSTER", "SETSLOT", slot, "NODE", there)
        return moved

    async def query(self, key, *words):
        """A command to whoever has the key."""
        owners = await self.owners()
        slot = slot_of(key)
        port = next(port for port, slots in owners.items() if slot in slots)
        return await self.node(port).command(*words, patience=60)

    def stop(self):
        for node in self.nodes:
            node.kill()


class Alone:
    """One Redis that syncs every write."""

    def __init__(self, directory):
        (port,) = free_ports(1)
        self.nodes = [Redis(port, os.path.join(directory, "redis"), ["--appendfsync", "always"])]

    async def start(self):
        self.nodes[0].start()
        await self.nodes[0].ready()

    def url(self):
        return f"redis://127.0.0.1:{self.nodes[0].port}"

    async def query(self, _key, *words):
        return await self.nodes[0].command(*words, patience=60)

    def stop(self):
        self.nodes[0].kill()


class Program:
    """A server or a worker, started again by whoever killed it."""

    def __init__(self, binary, arguments, settings, log):
        self.binary, self.arguments, self.log = binary, arguments, log
        self.settings = {"PATH": os.environ.get("PATH", ""), "LOG_FORMAT": "text", **settings}
        self.process = None

    def start(self):
        log = open(self.log, "ab")
        command = [self.binary, *self.arguments]
        self.process = subprocess.Popen(command, env=self.settings, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def ended(self):
        return self.process is not None and self.process.poll() is not None

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


class Proxy:
    """Passes on what clients and one server say; `cut` ends all connections at once, without a word."""

    def __init__(self, port, target):
        self.port, self.target = port, target
        self.open = set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.open.add(task)
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            self.open.discard(task)
            return
        copies = [asyncio.ensure_future(copy(reader, there_writer)), asyncio.ensure_future(copy(there_reader, writer))]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass
        finally:
            for each in copies:
                each.cancel()
            writer.transport.abort()
            there_writer.transport.abort()
            self.open.discard(task)

    def cut(self):
        count = len(self.open)
        for task in list(self.open):
            task.cancel()
        return count


async def copy(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


def version_of(binary):
    return subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def fail(text):
    print("chaos: " + text, file=sys.stderr)
    sys.exit(2)
