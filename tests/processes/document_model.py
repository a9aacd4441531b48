"""A model of document saves (rules DS2 to DS12), and savers who try a real server against it.

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

from model_server import Server

POLICIES = ["merge", "merge", "keep", "overwrite"]
WHOLE = ""  # The path of an entity itself: it was created or deleted.


# --- The model: pictures are {(kind, id): {path: value}}, and a commit is {(kind, id, path): value or None}.


def ends(entity):
    return [("node", entity[end]) for end in ("/source", "/target")]


def hanging(picture, node):
    """Edges of a node."""
    return [key for key, entity in picture.items() if key[0] == "edge" and node in ends(entity)]


def apply(picture, writes):
    """The picture after a commit."""
    after = {key: dict(entity) for key, entity in picture.items()}
    for (kind, name, path), value in writes.items():
        if path == WHOLE and value is None:
            after.pop((kind, name), None)
        elif path == WHOLE:
            after[kind, name] = dict(value)
        elif (kind, name) in after and value is None:
            after[kind, name].pop(path, None)
        elif (kind, name) in after:
            after[kind, name][path] = value
    return after


def save(base, head, wanted, others, policy):
    """What a save writes and which paths conflict; `others` are the commits of others since the base."""
    written_by_others = {write for commit in others for write in commit}
    updated = {key[:2] for key in written_by_others if key[2] != "/position"}
    deleted = {write[:2] for commit in others for write, value in commit.items() if write[2] == WHOLE and value is None}
    writes, conflicts = {}, set()

    def conflict(code, key, path):
        conflicts.add((code, key[0], key[1], path))
        return policy == "overwrite"

    gone = set()
    for key in base:
        if key not in wanted and key in head:
            if key not in updated or conflict("CONFLICT", key, WHOLE):
                gone.add(key)
    for key, entity in wanted.items():
        if key not in base:
            if key not in head or (head[key] != entity and conflict("ID_TAKEN", key, WHOLE)):
                writes[(*key, WHOLE)] = dict(entity)
            continue
        changed = {p for p in {*base[key], *entity} if base[key].get(p) != entity.get(p)}
        if changed and (key not in head or key in deleted):
            # What others created anew under the id is another one.
            if head.get(key) != entity and conflict("TARGET_DELETED", key, WHOLE):
                writes[(*key, WHOLE)] = dict(entity)
            continue
        for path in changed:
            value, stands = entity.get(path), head[key].get(path)
            if value == stands:
                continue
            is_theirs = (*key, path) in written_by_others or (*key, WHOLE) in written_by_others
            if path == "/position" or not is_theirs or conflict("CONFLICT", key, path):
                writes[(*key, path)] = value
    # Edges go with their nodes, and new ones need both ends.
    for key in list(gone):
        if key[0] == "node":
            gone.update(hanging(head, key))
    nodes = {key for key in head if key not in gone} | {w[:2] for w in writes if w[2] == WHOLE}
    for write in [w for w in writes if w[0] == "edge" and w[2] == WHOLE]:
        missing = [end for end in ("/source", "/target") if ("node", writes[write][end]) not in nodes]
        conflicts |= {("DANGLING_EDGE", *write[:2], end) for end in missing}
        if missing:
            del writes[write]
    writes = {write: value for write, value in writes.items() if write[:2] not in gone}
    writes.update({(*key, WHOLE): None for key in gone})
    return writes, conflicts


# --- Between pictures and documents.


def document(picture):
    nodes, edges = [], []
    for (kind, name), entity in picture.items():
        if kind == "edge":
            edges.append({"id": name, "source": entity["/source"], "target": entity["/target"]})
            if "/label" in entity:
                edges[-1]["label"] = entity["/label"]
        else:
            data = {path[6:]: value for path, value in entity.items() if path.startswith("/data/")}
            nodes.append({"id": name, "type": "default", "position": {"x": entity["/position"], "y": 0}, "data": data})
    return {"nodes": nodes, "edges": edges}


def picture(document):
    entities = {}
    for node in document["nodes"]:
        entity = {f"/data/{key}": value for key, value in (node.get("data") or {}).items()}
        entities["node", node["id"]] = {**entity, "/position": node["position"]["x"]}
    for edge in document["edges"]:
        entity = {"/source": edge["source"], "/target": edge["target"]}
        if edge.get("label") is not None:
            entity["/label"] = edge["label"]
        entities["edge", edge["id"]] = entity
    return entities


# --- The server.


class Document(Server):
    def __init__(self, url, graph):
        super().__init__(url)
        self.path = f"/graphs/{graph}/document"

    def load(self):
        status, headers, document = self.ask("GET", self.path)
        assert status == 200, document
        return picture(document), headers["x-base"]


class World:
    """The graph as the model has it: the picture of every version, and who wrote which commit."""

    def __init__(self):
        self.pictures = [{}]
        self.commits = [(None, {})]

    @property
    def head(self):
        return self.pictures[-1]

    def add(self, author, writes):
        self.commits.append((author, writes))
        self.pictures.append(apply(self.head, writes))


class Saver:
    def __init__(self, number, rng, server, world, keeps_loaded_base):
        self.user, self.rng, self.server, self.world = f"user{number}", rng, server, world
        # Who names a client may keep the base that was loaded (DS3); others use the base of each answer.
        self.client = str(uuid.UUID(int=rng.getrandbits(128), version=4)) if keeps_loaded_base else None
        self.load()

    def load(self):
        loaded, self.token = self.server.load()
        assert loaded == self.world.head, difference(loaded, self.world.head)
        self.mine, self.version, self.own = loaded, len(self.world.pictures) - 1, set()

    def edit(self):
        rng, mine = self.rng, self.mine
        nodes = [key for key in mine if key[0] == "node"]
        for _ in range(rng.randint(1, 3)):
            kind = rng.choice(["create", "create", "write", "write", "write", "move", "delete", "connect", "connect"])
            names = [f"n{i}" for i in range(14)]
            if kind == "create":
                key = ("node", rng.choice(names))
                if key not in mine:
                    mine[key] = {"/position": rng.randint(0, 9), "/data/a": rng.randint(0, 2)}
            elif kind == "connect" and len(nodes) > 1:
                source, target = rng.sample(nodes, 2)
                key = ("edge", f"{source[1]}-{target[1]}")
                if key not in mine and source in mine and target in mine:
                    mine[key] = {"/source": source[1], "/target": target[1]}
            elif kind == "delete" and rng.random() < 0.5 and len(nodes) > 3:
                key = rng.choice(list(mine))
                for edge in hanging(mine, key) if key[0] == "node" else []:
                    del mine[edge]
                del mine[key]
            elif mine:
                key = rng.choice(list(mine))
                if key[0] == "edge":
                    mine[key]["/label"] = rng.choice(["one", "two", "three"])
                elif kind == "move":
                    mine[key]["/position"] = rng.randint(0, 9)
                else:
                    path = rng.choice(["/data/a", "/data/b", "/data/list"])
                    mine[key][path] = [rng.randint(0, 2)] if path == "/data/list" else rng.randint(0, 9)
                    if path == "/data/b" and rng.random() < 0.3:
                        del mine[key][path]
            nodes = [key for key in mine if key[0] == "node"]

    def save(self):
        world, policy = self.world, self.rng.choice(POLICIES)
        base = world.pictures[self.version]
        since = range(self.version + 1, len(world.pictures))
        is_own = lambda version: version in self.own or (self.client and world.commits[version][0] == self.user)
        for version in filter(is_own, since):
            base = apply(base, world.commits[version][1])
        others = [world.commits[version][1] for version in since if not is_own(version)]
        writes, conflicts = save(base, world.head, self.mine, others, policy)
        deleted = sum(1 for write, value in writes.items() if write[0] == "node" and value is None)

        headers = {"x-user-id": self.user, "idempotency-key": str(uuid.UUID(int=self.rng.getrandbits(128), version=4))}
        if self.client:
            headers["x-client-id"] = self.client
        query = f"?base={quote(self.token)}&onConflict={policy}&deletes={deleted}"
        status, _, answer = self.server.ask("PUT", self.server.path + query, document(self.mine), headers)
        said = self.told(status, answer, policy)
        # What overwrites is no conflict any more, but for an edge without its ends.
        expected = {c for c in conflicts if policy != "overwrite" or c[0] == "DANGLING_EDGE"}
        is_refused = expected and policy != "keep"
        context = f"{self.user} {policy} at {self.version} own {sorted(self.own)}\nsaid {status} {answer}\nmodel {expected} {writes}"
        assert (status == 200) == (not is_refused), context
        if is_refused:
            assert status == 409 and said and said <= {c[1:] for c in expected}, context
            self.load()
            return "refused"
        if policy == "keep":
            assert said == {c[1:] for c in expected}, context
        if not writes:
            assert answer["outcome"] == "unchanged" and answer["version"] == len(world.pictures) - 1, context
        else:
            world.add(self.user, writes)
            assert answer["version"] == len(world.pictures) - 1, context
        stands, _ = self.server.load()
        assert stands == world.head, context + "\n" + difference(stands, world.head)
        brought = answer.get("document")
        assert (brought is None) == (world.head == self.mine), context
        if brought is not None:
            assert picture(brought) == world.head, context
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
            self.mine, self.token = picture(brought), brought["base"]
            self.version, self.own = len(self.world.pictures) - 1, set()
            return "adopts"
        self.token = answer["base"]
        if brought is None:
            self.version, self.own = len(self.world.pictures) - 1, set()
        elif writes:
            self.own.add(len(self.world.pictures) - 1)
        return "keeps"


def difference(found, expected):
    keys = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
    return "\n".join(f"{key}: {found.get(key)} instead of {expected.get(key)}" for key in keys)


def main(url, seed, steps):
    rng = random.Random(seed)
    server, world = Document(url, f"saved-{seed}"), World()
    status, _, answer = server.ask("PUT", server.path, {"nodes": [], "edges": []})
    first = {("node", f"n{i}"): {"/position": i, "/data/a": 0} for i in range(6)}
    status, _, answer = server.ask("PUT", server.path, document(first), {"x-user-id": "first"})
    assert status == 200, answer
    world.add("first", {(*key, WHOLE): copy.deepcopy(entity) for key, entity in first.items()})
    savers = [Saver(number, rng, server, world, number == 2) for number in range(3)]
    count = {}
    for _ in range(steps):
        saver = rng.choice(savers)
        saver.edit()
        did = saver.save()
        count[did] = count.get(did, 0) + 1
    print(f"seed {seed}: {steps} saves as the model says, {len(world.pictures) - 1} commits; {count}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
