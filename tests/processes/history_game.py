"""Three people who edit graphs of a real server, each graph with its model: what they send, and how answers are judged."""

import random
import uuid
from typing import NamedTuple

from history_events import fold
from history_rules import GRAPH, VIEWPORT, Commit, World, in_order, same
from model_server import Server

NODES = [f"n{i}" for i in range(9)]
LABELS = ["draft", "shown", "old"]


class Turn(NamedTuple):
    """An operation that was sent: what it needs to be sent again or undone."""

    path: str
    body: dict
    user: str
    operation: str
    version: int
    status: int
    outcome: str


class History:
    """One graph of the server with its model."""

    def __init__(self, name, world):
        self.name, self.world, self.turns, self.copied = name, world, [], set()
        self.path = f"/graphs/{name}"
        # Tabs with a picture of the graph, by user and client.
        self.savers = {}
        # Of graphs of this name that were purged: their purges, last points and operations.
        self.purges, self.points, self.past = [], [], []


class Game:
    def __init__(self, url, seed):
        self.url, self.seed, self.rng, self.server = url, seed, random.Random(seed), Server(url)
        self.log, self.count, self.made = [], {}, 0
        # Another run of the seed has other graphs.
        self.run = f"history-{seed}-{uuid.uuid4().hex[:6]}"
        self.histories = [self.new_history(World())]

    def new_history(self, world):
        self.made += 1
        return History(f"{self.run}-{self.made}", world)

    # --- Asking.

    def id(self):
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def send(self, history, user, kind, payload, operation=None, **envelope):
        operation = operation or self.id()
        if kind == "BATCH":
            path, body = "/batch", {"batchId": operation, "atomic": True, "operations": payload}
        else:
            path, body = "/command", {"operationId": operation, "type": kind, "payload": payload}
        # One of the three has two tabs, which are two clients (D1).
        tab = self.rng.randint(1, 2) if user == "cas" else 1
        body |= {"clientId": f"{user}-{tab}", **envelope}
        self.log.append(f"{history.name} at {history.world.version}: {user} {kind} {payload} {envelope}")
        status, _, answer = self.server.ask("POST", history.path + path, body, {"x-user-id": user})
        self.log.append(f"    -> {status} {answer}")
        # A refusal has no version: an undo of it names the head.
        turn = Turn(path, body, user, operation, answer.get("version", history.world.version), status, answer.get("outcome"))
        return turn, answer

    def get(self, history, path):
        status, _, answer = self.server.ask("GET", history.path + path)
        return status, answer

    def check(self, is_so, *said):
        assert is_so, said

    def once(self, named):
        """What is named, each once."""
        named = list(named)
        self.equal(len(named), len(set(named)), f"each of {named} once")
        return set(named)

    def equal(self, found, expected, what):
        assert found == expected, f"{what}: {found} instead of {expected}"

    # --- The model's answer to a command, and the server's.

    def judge(self, history, turn, answer, draft, touched, refusal=None, undoes=()):
        """Compares an answer with what the model made of the command, and commits it to the model."""
        world = history.world
        if refusal:
            world.gone = {key: entity for key, entity in world.gone.items() if key[0] <= world.version}
            self.equal((turn.status, answer.get("code")), (refusal.status, refusal.code), "refusal")
        elif touched == {}:
            self.equal((turn.status, answer.get("outcome"), answer["version"]), (200, "unchanged", world.version), "answer")
        else:
            self.equal((turn.status, answer.get("version")), (200, world.version + 1), "answer")
            self.commit(history, turn, answer, draft, touched, undoes)
        history.turns.append(turn)
        self.look(history)

    def commit(self, history, turn, answer, draft, touched, undoes=()):
        """Commits a state to the model. The server's commit must be that of the turn, and its events must lead there."""
        world, kind = history.world, turn.body.get("type", "BATCH")
        world.add(draft, Commit(turn.user, turn.operation, kind, turn.body["clientId"] or "", undoes=undoes), touched)
        world.hashes.append(answer["hash"])
        status, said = self.get(history, f"/changes?since={world.version - 1}&hash={world.hashes[-2]}")
        self.equal((status, len(said.get("changes", ()))), (200, 1), "changes")
        said = said["changes"][0]
        self.log.append(f"    events {said['events']}")
        wanted = {"version": world.version, "hash": answer["hash"], "operationId": turn.operation, "userId": turn.user,
            "clientId": turn.body["clientId"] or turn.user, "commandType": kind, "outcome": turn.outcome}
        self.equal({field: said[field] for field in wanted}, wanted, "commit")
        self.equal(set(said.get("undoes", ())), set(undoes), "undoes")
        world.commits[-1] = world.commits[-1]._replace(time=said["timestamp"], events=tuple(said["events"]))
        before, after = ({key: entity.content for key, entity in state.items()} for state in world.states[-2:])
        folded = fold(before, said["events"])
        differs = {key: (folded.get(key), after.get(key)) for key in {*folded, *after} if not same(folded.get(key), after.get(key))}
        self.equal(differs, {}, "events")

    def look(self, history):
        """The head is what the model says."""
        world = history.world
        status, state = self.get(history, "/state")
        self.check(status == 200, state)
        if world.version:
            commit = world.commits[-1]
            self.equal((state["lastOperationId"], state["lastModified"]), (commit.operation, commit.time), "last commit")
        self.compare(history, state, world.version)

    def compare(self, history, state, version):
        world = history.world
        self.equal((state["version"], state["hash"]), (version, world.hashes[version]), "version and hash")
        wanted = world.states[version]
        self.equal(state["attributes"], wanted[GRAPH].content, "attributes")
        self.equal(state["viewport"], wanted[VIEWPORT].content, "viewport")
        for kind in ("node", "edge"):
            expected = []
            for key in in_order(wanted, kind):
                entity = wanted[key]
                times = {"createdAt": world.commits[entity.born].time, "updatedAt": world.commits[entity.version].time}
                expected.append({**entity.content, **times, "version": entity.version})
            if state[kind + "s"] != expected:
                found = {entity["id"]: entity for entity in state[kind + "s"]}
                wanted = {entity["id"]: entity for entity in expected}
                lines = [f"{i}: {found.get(i)} instead of {wanted.get(i)}" for i in sorted({*found, *wanted}) if found.get(i) != wanted.get(i)]
                raise AssertionError("\n".join([f"{kind}s of {version}", *lines, f"order {list(found)} instead of {list(wanted)}"]))

    # --- Edits.

    def node(self, world):
        rng = self.rng
        node = {"id": rng.choice(NODES), "position": self.position(), "data": {"a": rng.randint(0, 2)}}
        if rng.random() < 0.2:
            node["data"]["none"] = None
        if rng.random() < 0.3:
            node["style"] = {"color": rng.choice(["red", "blue"]), "box": {"w": rng.randint(1, 3)}}
        parents = [key[1] for key in world.head if key[0] == "node" and key[1] != node["id"]]
        if parents and rng.random() < 0.5:
            node["parentId"] = rng.choice(parents if rng.random() < 0.9 else NODES)
            if rng.random() < 0.3:
                node["extent"] = "parent"
        return node

    def position(self):
        return {"x": self.rng.randint(0, 9), "y": self.rng.randint(0, 2)}

    def updates(self):
        rng = self.rng
        updates = {}
        for _ in range(rng.randint(1, 2)):
            updates |= rng.choice([
                lambda: {"data": {"a": rng.choice([0, 1, 2, None])}},
                lambda: {"data": {"b": rng.randint(0, 1), "none": rng.choice([1, None])}},
                lambda: {"data": {"deep": {rng.choice("xy"): rng.choice([0, 1, None])}}},
                lambda: {"data": {"deep": rng.choice([None, 5, [1]])}},
                lambda: {"style": {"color": rng.choice(["red", "blue", None])}},
                lambda: {"style": rng.choice([None, {"box": {"w": rng.randint(1, 3)}}, {"box": None}])},
                lambda: {"type": rng.choice(["text", None])},
                lambda: {"position": self.position()},
                lambda: {"parentId": rng.choice([*NODES, None, None])},
                lambda: {"parentId": rng.choice(NODES), "extent": rng.choice(["parent", None])},
            ])()
        return updates

    def edit(self, world):
        """A random command: its type and payload."""
        rng, head = self.rng, world.head
        nodes = [key[1] for key in head if key[0] == "node"] or NODES
        edges = [key[1] for key in head if key[0] == "edge"] or ["e0"]
        kind = rng.choice(["CREATE_NODE"] * 5 + ["UPDATE_NODE"] * 6 + ["UPDATE_NODE_POSITION"] * 3 + ["CREATE_EDGE"] * 3
            + ["UPDATE_EDGE"] * 2 + ["DELETE_NODE"] * 2 + ["DELETE_EDGE", "SET_VIEWPORT", "UPDATE_GRAPH", "BATCH_UPDATE"])
        name, edge = rng.choice(nodes if rng.random() < 0.97 else NODES), rng.choice(edges)
        payload = {
            "CREATE_NODE": lambda: self.node(world),
            "UPDATE_NODE": lambda: {"nodeId": name, "updates": self.updates()},
            "UPDATE_NODE_POSITION": lambda: {"nodeId": name, "position": self.position()},
            "DELETE_NODE": lambda: {"nodeId": name},
            "CREATE_EDGE": lambda: {"id": f"e{rng.randint(0, 5)}", "source": name, "target": rng.choice(nodes)},
            "UPDATE_EDGE": lambda: {"edgeId": edge, "updates": rng.choice(
                [{"label": rng.choice(["one", "two", None])}, {"target": rng.choice(NODES)}, {"source": rng.choice(nodes)}])},
            "DELETE_EDGE": lambda: {"edgeId": edge},
            "SET_VIEWPORT": lambda: {"x": rng.randint(0, 2), "y": 0, "zoom": 1},
            "UPDATE_GRAPH": lambda: {"updates": rng.choice(
                [{"title": rng.choice(["T", "U", None])}, {"data": {rng.choice("pq"): rng.choice([1, 2, None])}},
                 {"settings": rng.choice([None, {"limits": {"nodes": rng.randint(500, 502)}}])}])},
            "BATCH_UPDATE": lambda: {"nodes": {node["id"]: node for node in (self.node(world) for _ in range(rng.randint(1, 2)))}},
        }[kind]()
        return kind, payload
