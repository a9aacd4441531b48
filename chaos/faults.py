"""What happens to the processes of a run. Each fault says what it changed: one that changed nothing proves nothing."""

import asyncio
import signal

import processes

SLOTS_MOVED = 300


class Faults:
    def __init__(self, world):
        self.world, self.random = world, world.random
        self.moved = None

    def kinds(self):
        """Those of the profile, slot moves first of all."""
        if self.world.cluster:
            return [
                ("move slots", self.move_slots),
                ("kill primary", self.kill_primary),
                ("pause primary", self.pause_primary),
                ("kill replica", self.kill_replica),
                ("fail over", lambda: self.fail_over()),
                ("fail over by force", lambda: self.fail_over("FORCE")),
                ("take over", lambda: self.fail_over("TAKEOVER")),
                ("kill server", self.kill_server),
                ("pause server", self.pause_server),
                ("kill worker", self.kill_worker),
                ("cut clients", self.cut_clients),
            ]
        if self.world.redis:
            return [("kill redis", self.kill_redis), ("kill server", self.kill_server), ("cut clients", self.cut_clients)]
        return [("kill server", self.kill_server), ("pause server", self.pause_server), ("cut clients", self.cut_clients)]

    async def move_slots(self):
        """Slots with their keys, to another primary; the next time the same back."""
        cluster = self.world.redis
        owners = await cluster.owners()
        home, guest, moved = self.moved or (None, None, [])
        # A fail-over may have made a replica of either.
        if home in owners and moved and set(moved) <= set(owners.get(guest, [])):
            source, target, slots = guest, home, moved
            self.moved = None
        else:
            source, target = self.random.sample(sorted(owners), 2)
            used = {processes.slot_of(f"{{{partition}}}") for partition in range(self.world.partitions)}
            own = sorted(owners[source], key=lambda slot: (slot not in used, slot))
            slots = own[:SLOTS_MOVED]
            self.moved = (source, target, slots)
        keys = await cluster.move(slots, cluster.node(source), cluster.node(target))
        return {"slots": len(slots), "keys": keys} if keys else {}

    async def kill_primary(self):
        cluster = self.world.redis
        before = await cluster.epoch()
        victim = self.random.choice((await cluster.roles())[0])
        victim.kill()
        successor = await self.elected(before)
        victim.start()
        await cluster.replicated()
        return {"election": successor} if successor else {}

    async def elected(self, before, patience=30):
        cluster = self.world.redis
        for _ in range(patience * 10):
            await asyncio.sleep(0.1)
            try:
                if (epoch := await cluster.epoch()) > before:
                    return epoch
            except (OSError, IndexError, processes.RedisError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                continue
        return None

    async def pause_primary(self):
        """Longer than the node timeout: it is a primary still when it goes on, and learns that it is not."""
        cluster = self.world.redis
        before = await cluster.epoch()
        victim = self.random.choice((await cluster.roles())[0])
        # Asked for without it: it would not answer.
        victim.signal(signal.SIGSTOP)
        kept, cluster.nodes = cluster.nodes, [node for node in cluster.nodes if node is not victim]
        try:
            successor = await self.elected(before)
        finally:
            cluster.nodes = kept
            victim.signal(signal.SIGCONT)
        await cluster.replicated()
        return {"election": successor} if successor else {}

    async def kill_replica(self):
        cluster = self.world.redis
        victim = self.random.choice((await cluster.roles())[1])
        process = victim.process.pid
        victim.kill()
        await asyncio.sleep(3)
        victim.start()
        await cluster.replicated()
        return {"process": process}

    async def fail_over(self, *how):
        cluster = self.world.redis
        before = await cluster.epoch()
        replica = self.random.choice((await cluster.roles())[1])
        await replica.command("CLUSTER", "FAILOVER", *how)
        successor = await self.elected(before)
        await cluster.replicated()
        return {"election": successor} if successor else {}

    async def kill_redis(self):
        (redis,) = self.world.redis.nodes
        redis.kill()
        await asyncio.sleep(1)
        redis.start()
        await redis.ready()
        return {"redis": redis.process.pid}

    async def kill_server(self):
        server = self.random.choice(self.world.servers)
        process = server.process.pid
        server.kill()
        await asyncio.sleep(0.5)
        server.start()
        return {"process": process}

    async def pause_server(self):
        server = self.random.choice(self.world.servers)
        server.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(processes.NODE_TIMEOUT_MS / 1000 * 1.5)
        server.process.send_signal(signal.SIGCONT)
        return {"process": server.process.pid}

    async def kill_worker(self):
        worker = self.random.choice(self.world.workers)
        process = worker.process.pid
        worker.kill()
        await asyncio.sleep(1)
        worker.start()
        return {"process": process}

    async def cut_clients(self):
        cut = self.random.choice(self.world.proxies).cut()
        return {"connections": cut} if cut else {}
