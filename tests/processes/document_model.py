"""Savers who try a real server against a model of document saves (document_rules.py, rules DS2 to DS12).

Three people save whole documents to one graph in random turns: each adopts what the answer brings, keeps their own
picture with the base of the answer, keeps the base that was loaded (with a client id), or loads anew. After every save
the graph must be what the model says, and so must the refusal or the list of conflicts.

    python3 document_model.py http://127.0.0.1:3000 SEED STEPS
"""

import copy
import random
import sys
import uuid
from urllib.parse import quote

from document_rules import Save, contained, difference
from history_events import Since, fold
from history_rules import Commit
from model_server import Server

POLICIES = ["merge", "merge", "keep", "overwrite"]


# --- Between graphs and documents.


def document(graph):
    return {kind + "s": [content for key, content in graph.items() if key[0] == kind] for kind in ("node", "edge")}


def node(name, x, a):
    return {"id": name, "type": "default", "position": {"x": x, "y": 0}, "data": {"a": a}}


def graph(document):
    return {(kind, entity["id"]): entity for kind in ("node", "edge") for entity in document[kind + "s"]}


# --- The server.


class Document(Server):
    def __init__(self, url, name):
        super().__init__(url)
        self.path = f"/graphs/{name}/document"

    def load(self):
        status, headers, document = self.ask("GET", self.path)
        assert status == 200, document
        return graph(document), headers["x-base"]


class World:
    """The graph as the model has it: its contents at every version, and the commits."""

    def __init__(self):
        self.graphs, self.commits = [{}], [Commit(None, None, None)]

    head = property(lambda self: self.graphs[-1])
    version = property(lambda self: len(self.graphs) - 1)

    def add(self, author, after):
        events = tuple(difference(self.head, after))
        self.commits.append(Commit(author, None, "SAVE_DOCUMENT", events=events))
        self.graphs.append(after)


class Saver:
    def __init__(self, number, rng, server, world, keeps_loaded_base):
        self.user, self.rng, self.server, self.world = f"user{number}", rng, server, world
        # Who names a client may keep the base that was loaded (DS3); others use the base of each answer.
        self.client = str(uuid.UUID(int=rng.getrandbits(128), version=4)) if keeps_loaded_base else None
        self.load()

    def load(self):
        loaded, self.token = self.server.load()
        assert loaded == self.world.head, told_apart(loaded, self.world.head)
        self.mine, self.version, self.own = copy.deepcopy(loaded), self.world.version, set()

    def edit(self):
        rng, mine = self.rng, self.mine
        nodes = [key for key in mine if key[0] == "node"]
        for _ in range(rng.randint(1, 3)):
            kind = rng.choice(["create", "create", "write", "write", "write", "move", "delete", "connect", "connect"])
            names = [f"n{i}" for i in range(14)]
            if kind == "create":
                key = ("node", rng.choice(names))
                if key not in mine:
                    mine[key] = node(key[1], rng.randint(0, 9), rng.randint(0, 2))
            elif kind == "connect" and len(nodes) > 1:
                source, target = rng.sample(nodes, 2)
                key = ("edge", f"{source[1]}-{target[1]}")
                if key not in mine and source in mine and target in mine:
                    mine[key] = {"id": key[1], "source": source[1], "target": target[1]}
            elif kind == "delete" and rng.random() < 0.5 and len(nodes) > 3:
                key = rng.choice(list(mine))
                for one in contained(mine, key) if key[0] == "node" else [key]:
                    del mine[one]
            elif mine:
                content = mine[rng.choice(list(mine))]
                if "source" in content:
                    content["label"] = rng.choice(["one", "two", "three"])
                elif kind == "move":
                    content["position"]["x"] = rng.randint(0, 9)
                else:
                    field = rng.choice(["a", "b", "list"])
                    content["data"][field] = [rng.randint(0, 2)] if field == "list" else rng.randint(0, 9)
                    if field == "b" and rng.random() < 0.3:
                        del content["data"][field]
            nodes = [key for key in mine if key[0] == "node"]

    def save(self):
        world, policy = self.world, self.rng.choice(POLICIES)
        is_own = lambda version, commit: version in self.own or (self.client and commit.user == self.user)
        base = world.graphs[self.version]
        for version in range(self.version + 1, world.version + 1):
            if is_own(version, world.commits[version]):
                base = fold(base, world.commits[version].events, strict=False)
        saved = Save(base, world.head, self.mine, Since(world, self.version, is_own), policy)
        deleted = sum(1 for key in world.head if key[0] == "node" and key not in saved.after)

        headers = {"x-user-id": self.user, "idempotency-key": str(uuid.UUID(int=self.rng.getrandbits(128), version=4))}
        if self.client:
            headers["x-client-id"] = self.client
        query = f"?base={quote(self.token)}&onConflict={policy}&deletes={deleted}"
        status, _, answer = self.server.ask("PUT", self.server.path + query, document(self.mine), headers)
        said = self.told(status, answer, policy)
        expected = saved.conflicts
        assert not saved.failures, saved.failures
        is_refused = expected and policy != "keep"
        context = f"{self.user} {policy} at {self.version} own {sorted(self.own)}\nsaid {status} {answer}\nmodel {expected} {difference(world.head, saved.after)}"
        assert (status == 200) == (not is_refused), context
        if is_refused:
            assert status == 409 and said and said <= {c[1:] for c in expected}, context
            self.load()
            return "refused"
        if policy == "keep":
            assert said == {c[1:] for c in expected}, context
        writes = saved.after != world.head
        if not writes:
            assert answer["outcome"] == "unchanged" and answer["version"] == world.version, context
        else:
            world.add(self.user, saved.after)
            assert answer["version"] == world.version, context
        stands, _ = self.server.load()
        assert stands == world.head, context + "\n" + told_apart(stands, world.head)
        brought = answer.get("document")
        assert (brought is None) == (world.head == self.mine), context
        if brought is not None:
            assert graph(brought) == world.head, context
        return self.go_on(answer, brought, writes)

    def told(self, status, answer, policy):
        """The conflicts that an answer lists, as (kind, id, path)."""
        listed = answer.get("conflicts") if status == 200 else (answer.get("resolution") or {}).get("conflicts")
        return {(conflict["entity"], conflict["id"], conflict["path"]) for conflict in listed or []}

    def go_on(self, answer, brought, writes):
        way = self.rng.choice(["adopt", "keep", "keep", "load"])
        if self.client and way == "keep":
            # The picture and the base that was loaded stay.
            return "keeps the loaded base"
        if way == "load":
            self.load()
            return "loads"
        if way == "adopt" and brought is not None:
            self.mine, self.token = graph(brought), brought["base"]
            self.version, self.own = self.world.version, set()
            return "adopts"
        self.token = answer["base"]
        if brought is None:
            self.version, self.own = self.world.version, set()
        elif writes:
            self.own.add(self.world.version)
        return "keeps"


def told_apart(found, expected):
    keys = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
    return "\n".join(f"{key}: {found.get(key)} instead of {expected.get(key)}" for key in keys)


def main(url, seed, steps):
    rng = random.Random(seed)
    server, world = Document(url, f"saved-{seed}"), World()
    status, _, answer = server.ask("PUT", server.path, {"nodes": [], "edges": []})
    first = {("node", f"n{i}"): node(f"n{i}", i, 0) for i in range(6)}
    status, _, answer = server.ask("PUT", server.path, document(first), {"x-user-id": "first"})
    assert status == 200, answer
    world.add("first", first)
    savers = [Saver(number, rng, server, world, number == 2) for number in range(3)]
    count = {}
    for _ in range(steps):
        saver = rng.choice(savers)
        saver.edit()
        did = saver.save()
        count[did] = count.get(did, 0) + 1
    print(f"seed {seed}: {steps} saves as the model says, {world.version} commits; {count}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
