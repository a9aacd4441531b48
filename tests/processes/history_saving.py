"""People who save whole documents, and how the answers are judged (DS)."""

import copy
import json
from urllib.parse import quote

from document_rules import Save, contained, difference, parent
from history_events import Since, fold, leaves, put_leaf, target
from history_game import NODES, Game, Turn
from history_rules import ABSENT, VIEWPORT, Refused, in_order, read, same

# What an editor has beside the document, which is not stored (DS5).
PASSING = {"selected": True, "dragging": False, "measured": {"width": 9}}


def contents(state):
    """Nodes and edges of a state of the model, in the order of its lists."""
    return {key: state[key].content for kind in ("node", "edge") for key in in_order(state, kind)}


def graph(document):
    return {(kind, entity["id"]): entity for kind in ("node", "edge") for entity in document[kind + "s"]}


def pruned(event, before):
    """An event without the leaves of its patch that change nothing."""
    if "patch" not in event:
        return event
    content, patch = before[target(event)], {}
    for path, value in leaves(event["patch"]).items():
        if not same(put_leaf(content, path, ABSENT if value is None else value), content):
            patch = put_leaf(patch, path, value)
    return {**event, "patch": patch}


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    return value


class Saver:
    """An editor's tab: its picture of a graph, and the base of it: a version with own commits since (DS3, DS10)."""

    def __init__(self, user, client):
        self.user, self.client, self.mine, self.token = user, client, None, None
        self.version, self.own = 0, ()

    def take(self, mine, token):
        """Takes a picture with its base. A token says what the answers of DS10 say: a version, its hash, own versions."""
        self.mine, self.token = copy.deepcopy(mine), token
        if token:
            point, _, own = token.partition("+")
            self.version = int(point.partition(":")[0])
            self.own = tuple(int(one) for one in own.split(",") if one)


class Saving(Game):
    """What they save as documents."""

    def saver(self, history, user):
        savers = history.savers
        client = self.rng.choice([None, f"{user}-1", f"{user}-1"])
        if (user, client) not in savers:
            savers[user, client] = Saver(user, client)
        saver = savers[user, client]
        if saver.mine is None or self.rng.random() < 0.1:
            self.load(history, saver)
        return saver

    def load(self, history, saver):
        world = history.world
        status, headers, document = self.server.ask("GET", history.path + "/document")
        self.equal(status, 200, "document")
        self.log.append(f"{history.name} at {world.version}: {saver.user} {saver.client} loads")
        self.equal(graph(document), contents(world.head), "document")
        self.equal(document["viewport"], world.head[VIEWPORT].content, "viewport of the document")
        self.equal(headers["x-base"], f"{world.version}:{world.hashes[-1]}", "base")
        saver.take(graph(document), headers["x-base"])

    def draw(self, mine):
        """Edits a picture."""
        rng = self.rng
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            nodes, edges = ([key for key in mine if key[0] == kind] for kind in ("node", "edge"))
            kind = rng.choice(["create", "write", "write", "move", "delete", "connect", "parent"])
            if kind == "create":
                new = self.node_for(mine)
                if ("node", new["id"]) not in mine:
                    mine["node", new["id"]] = new
            elif kind == "connect" and nodes:
                name = f"e{rng.randint(0, 5)}"
                ends = {"source": rng.choice(nodes)[1], "target": rng.choice(nodes)[1]}
                mine["edge", name] = {"id": name, **mine.get(("edge", name), {}), **ends}
            elif kind == "delete" and nodes + edges:
                key = rng.choice(nodes + edges)
                for one in contained(mine, key) if key[0] == "node" else [key]:
                    del mine[one]
            elif kind == "write" and nodes + edges:
                content = mine[rng.choice(nodes + nodes + edges)] if nodes else mine[rng.choice(edges)]
                if "source" in content:
                    content["label"] = rng.choice(["one", "two", "three"])
                else:
                    self.write_field(content)
            elif kind == "move" and nodes:
                mine[rng.choice(nodes)]["position"] = self.position()
            elif kind == "parent" and nodes:
                key, above = rng.choice(nodes), rng.choice(nodes)
                mine[key].pop("parentId", None)
                if above not in contained(mine, key):
                    mine[key]["parentId"] = above[1]

    def node_for(self, mine):
        rng = self.rng
        new = {"id": rng.choice(NODES), "position": self.position(), "data": {"a": rng.randint(0, 2)}}
        parents = [key[1] for key in mine if key[0] == "node" and key[1] != new["id"]]
        if parents and rng.random() < 0.4:
            new["parentId"] = rng.choice(parents)
        return new

    def write_field(self, content):
        rng = self.rng
        data = content.setdefault("data", {})
        way = rng.choice(["a", "list", "deep", "none", "style", "without"])
        if way == "a":
            data["a"] = rng.randint(0, 2)
        elif way == "list":
            data["list"] = [rng.randint(0, 2)]
        elif way == "none":
            data["none"] = rng.choice([None, 1])
        elif way == "deep":
            data["deep"] = rng.choice([5, {"x": rng.randint(0, 1)}, {"x": 0, "y": rng.randint(0, 1)}])
        elif way == "style":
            content["style"] = {"color": rng.choice(["red", "blue"]), "box": {"w": rng.randint(1, 3)}}
        else:
            data.pop(rng.choice(["a", "list", "deep", "none"]), None)

    def play_save(self, history, user):
        rng, world = self.rng, history.world
        saver = self.saver(history, user)
        self.draw(saver.mine)
        policy = rng.choice(["merge", "merge", "merge", "keep", "keep", "overwrite", "reject"])
        options, document = {}, self.document(saver)
        has_base = saver.token is not None
        if not has_base or rng.random() < 0.05:
            has_base = False
            options |= rng.choice([{}, {"mode": "merge"}, {"mode": "replace"}])
        shown = world.head[VIEWPORT].content
        if rng.random() < 0.3:
            document["viewport"] = shown = {"x": rng.randint(0, 2), "y": 0, "zoom": 1}
            if rng.random() < 0.5:
                options["viewport"] = "save"
        if rng.random() < 0.1 and "mode" not in options:
            options["absent"] = "keep"
        if has_base and "+" not in saver.token and rng.random() < 0.05:
            # Without a hash the server can't check the history (H6).
            saver.token = saver.token.partition(":")[0]
        save, refusal = self.saved(history, saver, has_base, options, policy)
        gone = [key for key in world.head if key[0] == "node" and key not in save.after] if save else []
        nodes = sum(key[0] == "node" for key in world.head)
        is_much = gone and (len(gone) == nodes or len(gone) > 20 and 2 * len(gone) > nodes)
        if rng.random() < 0.5:
            options["deletes"] = len(gone)
        turn, answer = self.put(history, saver, document, options, policy, saver.token if has_base else None)
        if not refusal and (save.failures or save.conflicts and policy != "keep"):
            refusal = "conflicts"
        elif not refusal and is_much and "deletes" not in options:
            refusal = Refused(422, "DELETES_MUCH")
        if isinstance(refusal, Refused):
            if refusal.code == "DELETES_MUCH":
                edges = sum(key[0] == "edge" and key not in save.after for key in world.head)
                self.equal((answer["nodes"], answer["edges"]), (len(gone), edges), "what it would delete")
            self.judge(history, turn, answer, None, None, refusal)
            if refusal.code != "VERSION_AHEAD":
                history.turns.pop()
            if refusal.code in ("VERSION_AHEAD", "BASE_UNKNOWN"):
                self.load(history, saver)
            return f"saves: {refusal.code}"
        where = answer if "conflicts" in answer else answer.get("result", answer.get("resolution")) or {}
        said = where.get("conflicts", [])
        listed, said = said, {(one["entity"], one["id"], one["path"]) for one in said}
        self.equal(len(listed), len(said), f"paths in {listed}")
        self.values(world, listed, save)
        if refusal:
            self.refused(turn, answer, save, policy, said)
            self.judge(history, turn, answer, None, None, Refused(turn.status, answer["code"]))
            self.load(history, saver)
            return "refused saves"
        self.equal(said, {conflict[1:] for conflict in save.conflicts}, "conflicts")
        draft, touched = self.drafted(world, save.after)
        viewport = document.get("viewport")
        # It is stored on a graph that has none (DS5).
        is_stored = viewport and (options.get("viewport") == "save" or world.head[VIEWPORT].version == 0)
        if is_stored and not same(viewport, save.viewport) and not same(viewport, world.head[VIEWPORT].content):
            draft[VIEWPORT], touched[VIEWPORT] = draft[VIEWPORT]._replace(content=viewport), False
        others = save.since.others
        before = world.head
        self.judge(history, turn, answer, draft, touched)
        self.result(save, before, answer["result"])
        if touched:
            self.equal(answer["outcome"], "merged" if others or save.conflicts else "applied", "outcome")
            sides = contents(before), contents(world.head)
            events = [pruned(event, sides[0]) for event in world.commits[-1].events if event["type"] != "ViewportSet"]
            self.equal(*(sorted(json.dumps(event, sort_keys=True) for event in one) for one in (events, difference(*sides))), "smallest events")
        return self.go_on(history, saver, save, answer, options, document)

    def refused(self, turn, answer, save, policy, said):
        """A refused save names what conflicts (DS9). Conflicts of several kinds are a CONFLICT."""
        codes = {(409, conflict[0]) for conflict in save.conflicts if policy != "keep"}
        codes |= {(409, "CONFLICT")} if len(codes) > 1 else set()
        codes |= {(422, code) for code in save.failures}
        self.check((turn.status, answer.get("code")) in codes, codes)
        if policy == "reject":
            expected = {conflict[1:3] for conflict in save.conflicts}
            self.check({one[:2] for one in said} <= expected, said, expected)
        else:
            self.check(said <= {conflict[1:] for conflict in save.conflicts}, said, save.conflicts)

    def values(self, world, listed, save):
        """Conflicts show what stands, and of a field that others wrote the last commit that wrote it (D7)."""
        everything = Since(world, 0, lambda *_: False)
        for one in listed:
            key, path = (one["entity"], one["id"]), tuple(one["path"].split("/")[1:])
            # A save may have moved what it kept besides.
            heads = world.head[key].content if key in world.head else ABSENT, save.after.get(key, ABSENT)
            shown = [None if value is ABSENT else value for value in (read(head, path) for head in heads)]
            self.check(key[0] not in ("node", "edge") or one["current"] in shown, f"current of {key} {path}", one["current"], shown)
            if path and [c[0] for c in save.conflicts if c[1:] == (*key, one["path"])] == ["CONFLICT"]:
                version = everything.last_writer(key, path)
                commit = world.commits[version]
                self.equal((one["version"], one["userId"], one["operationId"]), (version, commit.user, commit.operation), f"writer of {key} {path}")

    def document(self, saver):
        document = {kind + "s": [copy.deepcopy(c) for key, c in saver.mine.items() if key[0] == kind] for kind in ("node", "edge")}
        if self.rng.random() < 0.3:
            for node in document["nodes"]:
                node.update({key: PASSING[key] for key in self.rng.sample([*PASSING], 1)})
        return document

    def saved(self, history, saver, has_base, options, policy):
        """What the model makes of a save, and the refusal if nothing is compared."""
        world, mode = history.world, options.get("mode")
        keeps = mode == "merge" or "absent" in options
        head = contents(world.head)
        if not has_base:
            if mode is None and world.version:
                return None, Refused(428, "BASE_REQUIRED")
            since = Since(world, world.version, lambda *_: True)
            return self.with_viewport(Save(head, head, saver.mine, since, policy, keeps), world.head[VIEWPORT].content), None
        known = saver.token.partition(":")[2].partition("+")[0]
        if known and (saver.version > world.version or known != world.hashes[saver.version]):
            return None, Refused(409, "BASE_UNKNOWN")
        if saver.version > world.version:
            return None, Refused(409, "VERSION_AHEAD")
        base, is_own = self.effective(history, saver)
        viewport = base[VIEWPORT]
        base = {key: content for key, content in base.items() if key[0] in ("node", "edge")}
        save = Save(base, head, saver.mine, Since(world, saver.version, is_own), policy, keeps)
        return self.with_viewport(save, viewport), None

    def fits(self, history, saver, save, has_more):
        """The base of an answer fits the document that was sent (DS10). Only what others had done before in the same way
        it may lack, while the graph has more than the document, or another viewport."""
        alone = lambda key: key[0] in ("node", "edge") and not (has_more and key in save.since.touched)
        both = self.effective(history, saver)[0], saver.mine
        base, mine = ({key: without_nulls(one) for key, one in graph.items() if alone(key)} for graph in both)
        self.equal(base, mine, "base of the answer")

    def effective(self, history, saver):
        """The effective base of a saver, and which commits are the saver's own (DS3)."""
        world = history.world
        is_named = lambda commit: saver.client and commit.client == saver.client
        is_own = lambda version, commit: commit.user == saver.user and (version in saver.own or is_named(commit))
        base = contents(world.states[saver.version]) | {VIEWPORT: world.states[saver.version][VIEWPORT].content}
        for version in range(saver.version + 1, world.version + 1):
            if is_own(version, world.commits[version]):
                base = fold(base, world.commits[version].events, strict=False)
        return base, is_own

    def with_viewport(self, save, viewport):
        save.viewport = viewport
        return save

    def put(self, history, saver, document, options, policy, token):
        """Sends a save, over its own route or as a command."""
        rng, operation = self.rng, self.id()
        payload = {**document, **options}
        if "viewport" in options:
            payload["viewport"], payload["viewportMode"] = document["viewport"], "save"
        if token:
            payload["base"] = token
        body = {"operationId": operation, "type": "SAVE_DOCUMENT", "payload": payload, "clientId": saver.client, "onConflict": policy}
        if token and "+" not in token and rng.random() < 0.3:
            # A version and its hash can stand in place of a base (DS1).
            version, _, known = payload.pop("base").partition(":")
            body |= {"clientVersion": int(version)} | ({"clientHash": known} if known else {})
        self.log.append(f"{history.name} at {history.world.version}: {saver.user} {saver.client} {policy} {options} {token} saves {document}")
        if "clientVersion" in body or rng.random() < 0.5:
            status, _, answer = self.server.ask("POST", history.path + "/command", body, {"x-user-id": saver.user})
        else:
            headers = {"x-user-id": saver.user, "idempotency-key": operation}
            headers |= {"x-client-id": saver.client} if saver.client else {}
            query = {**options, "onConflict": policy, **({"base": token} if token else {})}
            query = "&".join(f"{key}={quote(str(value))}" for key, value in query.items())
            status, _, answer = self.server.ask("PUT", f"{history.path}/document?{query}", document, headers)
        self.log.append(f"    -> {status} {answer}")
        turn = Turn("/command", body, saver.user, operation, answer.get("version", history.world.version), status, answer.get("outcome"))
        return turn, answer

    def drafted(self, world, after):
        """The state that a save leads to, and what it touched."""
        draft, touched = {key: entity for key, entity in world.head.items() if key[0] not in ("node", "edge")}, {}
        for key, content in after.items():
            stands = world.head.get(key)
            if stands and same(stands.content, content):
                draft[key] = stands
                continue
            draft[key] = stands._replace(content=content) if stands else world.new(content)
            touched[key] = bool(stands) and same({**stands.content, "position": 0}, {**content, "position": 0})
        for key in world.head.keys() - draft.keys():
            touched[key] = False
        return draft, touched

    def result(self, save, before, result):
        """The ids that the answer names (DS1, DS4)."""
        before = contents(before)
        names = lambda listed: self.once((kind, name) for kind in ("node", "edge") for name in listed[kind + "s"])
        created = {key for key in save.after if key not in before}
        gone = {key for key in before if key not in save.after}
        updated = {key for key in before.keys() & save.after.keys() if not same(before[key], save.after[key])}
        self.equal(names(result["created"]), created, "created")
        self.equal(names(result["updated"]), updated, "updated")
        self.equal(names(result["deleted"]), gone - {*save.also_deleted}, "deleted")
        self.equal(names(result["alsoDeleted"]), {*save.also_deleted}, "also deleted")

    def go_on(self, history, saver, save, answer, options, document):
        """What the saver keeps: the picture of the answer, the own one with a new base, with the old one, or with none."""
        world = history.world
        brought, head, shown = answer.get("document"), contents(world.head), world.head[VIEWPORT].content
        if "document" in answer or "base" in answer:
            self.equal(brought is not None, not same(without_nulls(saver.mine), without_nulls(head)), "brings the document")
        if brought is not None:
            self.equal(graph(brought), head, "document of the answer")
        way = self.rng.choice(["adopt", "keep", "keep", "old", "old", "forget"])
        if way == "forget":
            saver.token = None
            return "saves, forgets the base"
        if way == "adopt" and brought is not None:
            saver.take(graph(brought), brought["base"])
            return "saves, adopts"
        if way == "keep" and "base" in answer:
            saver.take(saver.mine, answer["base"])
            if not save.conflicts and not options.keys() & {"mode", "absent"}:
                self.fits(history, saver, save, brought or not same(document.get("viewport", shown), shown))
            return "saves, keeps the picture"
        if saver.client and saver.token and not options.keys() & {"mode", "absent"}:
            return "saves, keeps the old base"
        self.load(history, saver)
        return "saves, loads"
