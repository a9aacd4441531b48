#!/usr/bin/env python3
"""Runs real processes under load and faults, writes down what clients saw, and has it checked.

    python3 chaos/run.py [--profile NAME] [--seconds N] [--seed N] [--binary FILE] [--out DIRECTORY]

Profiles: replicas (six redis-servers, REDIS_MIN_REPLICAS=1), cluster (the same without), redis (one, appendfsync
always), embedded. In N seconds each kind of fault comes once, slot moves first, and then kinds by chance. The seed is
printed, and decides the faults and what writers do. All is on loopback, and ends when the run does.
"""

import argparse
import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import hashlib
import binascii

import clients
import processes
from recorder import Recorder

HERE = os.path.dirname(os.path.abspath(__file__))
PARTITIONS = 256
GRAPHS = 24
WRITERS = [("http", 6), ("batch", 3), ("socket", 6)]
QUIET_PATIENCE = 120
CALM = 2


class World:
    """One run: its processes, its clients, and where they are."""

    def __init__(self, arguments, directory):
        self.seed, self.profile, self.directory = arguments.seed, arguments.profile, directory
        self.binary, self.seconds = arguments.binary, arguments.seconds
        self.random = random.Random(f"{self.seed}-faults")
        self.cluster = self.profile in ("replicas", "cluster")
        self.partitions, self.pause, self.again = PARTITIONS, 0.08, 0
        self.graphs = [f"g{number}" for number in range(GRAPHS)]
        self.recorder = Recorder(os.path.join(directory, "history.ndjson"))
        self.stopping, self.problems = asyncio.Event(), []
        self.redis, self.servers, self.workers, self.proxies, self.ports = None, [], [], [], []

    def wrong(self, text):
        """Something that no fault excuses."""
        self.problems.append(text)
        print("chaos: WRONG: " + text, flush=True)

    async def start(self):
        if self.cluster:
            self.redis = processes.Cluster(self.directory)
        elif self.profile == "redis":
            self.redis = processes.Alone(self.directory)
        if self.redis:
            await self.redis.start()
        count = 2 if self.redis else 1
        ports = processes.free_ports(2 * count)
        for number in range(count):
            log = os.path.join(self.directory, f"server-{number}.log")
            server = processes.Program(self.binary, ["serve"], self.settings(PORT=str(ports[number])), log)
            server.start()
            self.servers.append(server)
            proxy = processes.Proxy(ports[count + number], ports[number])
            await proxy.start()
            self.proxies.append(proxy)
            self.ports.append(proxy.port)
        for number in range(2 if self.redis else 0):
            log = os.path.join(self.directory, f"worker-{number}.log")
            worker = processes.Program(self.binary, ["worker"], self.settings(), log)
            worker.start()
            self.workers.append(worker)
        for port in self.ports:
            await self.ready(port)

    def settings(self, **more):
        if not self.redis:
            return {"DATA_DIR": os.path.join(self.directory, "data"), **more}
        settings = {"REDIS_URL": self.redis.url(), "PARTITIONS": str(PARTITIONS), "PROJECTORS": "off", **more}
        if self.profile == "replicas":
            settings["REDIS_MIN_REPLICAS"] = "1"
        return settings

    async def ready(self, port, patience=60):
        for _ in range(patience * 5):
            try:
                if (await clients.Http(port).ask("GET", "/readyz"))[0] == 200:
                    return
            except clients.Unknown:
                pass
            await asyncio.sleep(0.2)
        processes.fail(f"no server on port {port}: see {self.directory}/server-*.log")

    def stop(self):
        for program in self.servers + self.workers:
            program.kill()
        if self.redis:
            self.redis.stop()

    async def ask(self, path):
        """Asks until somebody answers."""
        for _ in range(300):
            http = clients.Http(self.random.choice(self.ports))
            try:
                status, headers, answer = await http.ask("GET", path)
                if status == 200 and headers.get("x-stale") != "true":
                    return answer
            except clients.Unknown:
                pass
            finally:
                http.close()
            await asyncio.sleep(0.2)
        raise TimeoutError(path)


async def subscribe(world):
    body = {"start": "beginning", "leaseMs": 5000, "maxAttempts": 100}
    status, _, answer = await clients.Http(world.ports[0]).ask("PUT", f"/subscriptions/{clients.SUBSCRIPTION}", body)
    if status not in (200, 201):
        processes.fail(f"no subscription: {answer}")


async def inject(world):
    """One fault at a time, each with a pause after it in which all is well."""
    from faults import Faults

    faults = Faults(world)
    kinds = faults.kinds()
    first, *others = kinds
    world.random.shuffle(others)
    # There and back before anything else.
    todo = ([first, first] if world.cluster else [first]) + others
    loop = asyncio.get_running_loop()
    end = loop.time() + world.seconds
    await asyncio.sleep(CALM)
    while todo or loop.time() < end:
        name, fault = todo.pop(0) if todo else world.random.choice(kinds)
        begin = world.recorder.say("note", text=name)
        print(f"chaos: {name}", flush=True)
        bite = await fault()
        world.recorder.say("fault", name=name, begin=begin, bite=bite)
        await asyncio.sleep(CALM)
        for program in world.servers + world.workers:
            if program.ended():
                world.wrong(f"{program.arguments} ended by itself: see {program.log}")
                program.start()


async def settle(world, writers, followers):
    """All is healed: what was begun is settled, and everybody comes to be level."""
    world.stopping.set()
    done, late = await asyncio.wait(writers, timeout=QUIET_PATIENCE)
    for task in done:
        task.result()
    for task in late:
        world.wrong("a writer is stuck: an operation was not settled in two minutes")
        task.cancel()
    heads = {graph: await world.ask(f"/graphs/{graph}/changes?since=0&limit=1") for graph in world.graphs}
    heads = {graph: (answer["currentVersion"], answer["hash"]) for graph, answer in heads.items()}

    async def level():
        if any(follower.points.get(graph) != heads[graph] for follower in followers for graph in follower.graphs):
            return "followers"
        left = await world.ask(f"/subscriptions/{clients.SUBSCRIPTION}")
        if left["lagCommits"] != 0 or left["inFlight"] != 0:
            return "the subscription"
        return None

    for _ in range(QUIET_PATIENCE * 2):
        if not (behind := await level()):
            break
        await asyncio.sleep(0.5)
    else:
        world.wrong(f"{behind} did not come to be level")
    await asyncio.sleep(2)  # for the readers of all graphs, who don't say where they are
    return heads


async def collect(world, heads):
    """What is there in the end: the log as it is stored, and what servers and projections make of it."""
    for graph in world.graphs:
        stored = await stored_log(world, graph)
        told, since, last = [], 0, "0" * 64
        while since < heads[graph][0]:
            page = await world.ask(f"/graphs/{graph}/changes?since={since}&hash={last}&limit=2000")
            told += page["changes"]
            if not page["changes"]:
                break
            since, last = page["changes"][-1]["version"], page["changes"][-1]["hash"]
        if [commit["hash"] for commit in told] != [hash for _, hash, _ in stored]:
            world.wrong(f"{graph}: what is stored is not what servers tell")
        commits = [[version, hash, body, commit["operationId"], commit["events"]] for (version, hash, body), commit in zip(stored, told)]
        world.recorder.say("log", graph=graph, commits=commits)
        state = await world.ask(f"/graphs/{graph}/state")
        world.recorder.say("state", graph=graph, version=state["version"], hash=state["hash"], nodes=state["nodes"])
        if world.redis:
            await record_rows(world, graph, heads[graph][0])
        verified = await world.ask(f"/graphs/{graph}/verify")
        if not verified["ok"]:
            world.wrong(f"{graph}: {verified}")
    left = await world.ask(f"/subscriptions/{clients.SUBSCRIPTION}")
    world.recorder.say("parked", subscription=clients.SUBSCRIPTION, count=left["parked"])


def partition_of(graph):
    return binascii.crc_hqx(graph.encode(), 0) % 16384 % PARTITIONS


async def stored_log(world, graph):
    """[version, hash, SHA-256 of the body] of each commit, read from the store itself."""
    if not world.redis:
        db = sqlite3.connect(f"file:{world.directory}/data/dao.db?mode=ro", uri=True)
        rows = db.execute("SELECT version, hash, body FROM history WHERE graph = ? ORDER BY version", (graph,)).fetchall()
        db.close()
        return [(version, hash.hex(), hashlib.sha256(body).hexdigest()) for version, hash, body in rows]
    key, found, start = f"dao:{{{partition_of(graph)}}}:graph:{graph}:events", [], "-"
    while entries := await world.redis.query(key, "XRANGE", key, start, "+", "COUNT", 2000):
        for id, (_, hash, _, body) in entries:
            found.append((int(id.split(b"-")[0]), hash.hex(), hashlib.sha256(body).hexdigest()))
        start = "(" + entries[-1][0].decode()
    return found


async def record_rows(world, graph, version):
    """The rows of the snapshot, once they are level."""
    key = f"dao:{{{partition_of(graph)}}}:graph:{graph}:snapshot"
    for _ in range(300):
        flat = await world.redis.query(key, "HGETALL", key)
        rows = dict(zip(flat[::2], flat[1::2]))
        if int(rows.get(b"version", b"0")) >= version:
            break
        await asyncio.sleep(0.2)
    nodes = [name[len("node:"):].decode() for name in rows if name.startswith(b"node:")]
    fields = {"version": int(rows.get(b"version", b"0")), "hash": rows.get(b"hash", b"").hex()}
    world.recorder.say("rows", graph=graph, nodes=nodes, **fields)


def title(world):
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout.split("v=")[-1].split(" ")[0]
    how = {
        "replicas": f"6 × redis {redis} (3+3, appendfsync everysec, node timeout 2 s), REDIS_MIN_REPLICAS=1",
        "cluster": f"6 × redis {redis} (3+3, appendfsync everysec, node timeout 2 s), no replica waited for",
        "redis": f"redis {redis}, appendfsync always",
        "embedded": "embedded store, fsync",
    }[world.profile]
    servers = f"{len(world.servers)} servers, {len(world.workers)} workers, {sum(n for _, n in WRITERS)} writers"
    return f"{processes.version_of(world.binary)}  {how}  {servers}  {world.seconds} s"


async def run(world):
    await world.start()
    fields = {"seed": world.seed, "profile": world.profile, "title": title(world)}
    fields |= {"mayLose": world.profile == "cluster", "mayTakeBack": world.cluster}
    world.recorder.say("run", **fields)
    await subscribe(world)
    ways = [way for way, count in WRITERS for _ in range(count)]
    followers = [clients.Follower(world, n, world.graphs[n % 4 :: 2]) for n in range(6)]
    others = followers + [clients.EventReader(world, n) for n in range(2)] + [clients.Consumer(world, n) for n in range(2)]
    others += [clients.Reader(world, n) for n in range(2)]
    background = [asyncio.ensure_future(each.run()) for each in others]
    writers = [asyncio.ensure_future(clients.Writer(world, n, way).run()) for n, way in enumerate(ways)]
    await inject(world)
    heads = await settle(world, writers, followers)
    for task in background:
        task.cancel()
    for ended in await asyncio.gather(*background, return_exceptions=True):
        if isinstance(ended, Exception):
            world.wrong(f"a client of the run failed: {ended!r}")
    await collect(world, heads)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=["replicas", "cluster", "redis", "embedded"], default="replicas")
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("CHAOS_SECONDS", "60")))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CHAOS_SEED", random.SystemRandom().randrange(10**6))))
    parser.add_argument("--binary", default=os.environ.get("DAO_API", os.path.join(HERE, "..", "target", "release", "dao-api")))
    parser.add_argument("--out", help="where the history and the logs are kept; a temporary directory by default")
    arguments = parser.parse_args()
    if not os.access(arguments.binary, os.X_OK):
        processes.fail(f"there is no {arguments.binary}: run `cargo build --release`, or set DAO_API")
    directory = os.path.abspath(arguments.out or tempfile.mkdtemp(prefix="dao-chaos-"))
    os.makedirs(directory, exist_ok=True)
    print(f"chaos: profile {arguments.profile}, seed {arguments.seed} (CHAOS_SEED gives it back), in {directory}", flush=True)

    async def whole():
        world = World(arguments, directory)
        try:
            await run(world)
        finally:
            world.stop()
            world.recorder.close()
        return world.problems

    problems = asyncio.run(whole())
    checked = subprocess.run([sys.executable, os.path.join(HERE, "check.py"), os.path.join(directory, "history.ndjson")])
    for problem in problems[:20]:
        print("  " + problem)
    sys.exit(1 if problems or checked.returncode else 0)


if __name__ == "__main__":
    main()
