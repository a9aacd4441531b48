"""A model of histories: what commands and restore (L11) make of a graph. It knows no server.

A state is {(kind, id): Entity}. Attributes and viewport are entities too. A world is the state of every version.
"""

import copy
from typing import NamedTuple

ABSENT = type("Absent", (), {"__repr__": lambda self: "absent", "__deepcopy__": lambda self, memo: self})()
GRAPH, VIEWPORT = ("graph", "graph"), ("viewport", "viewport")


class Entity(NamedTuple):
    content: dict
    place: int  # In creation order.
    born: int  # The version that created it.
    version: int  # The version that wrote it last.


class Commit(NamedTuple):
    user: str
    operation: str
    kind: str
    client: str = ""
    time: int = 0
    undoes: tuple = ()
    events: tuple = ()  # As the server tells them, once they were checked.


class Refused(Exception):
    """`missing` is the end or the parent that is not there; `listed` the paths that a conflict names, if the rules tell."""

    def __init__(self, status, code, missing=None, listed=None):
        super().__init__(f"{status} {code}")
        self.status, self.code, self.missing, self.listed = status, code, missing, listed


# --- Values and fields.


def same(a, b):
    return a is b or (a is not ABSENT and b is not ABSENT and type(a) is type(b) and a == b)


def read(value, path):
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return ABSENT
        value = value[key]
    return value


def pointer(path):
    return "".join("/" + key for key in path)


def fields(before, after, path=()):
    """The fields in which two contents differ: {path: (before, after)}. A position is one field."""
    if same(before, after):
        return {}
    is_object = isinstance(after, dict) and path[-1:] != ("position",)
    if is_object and (isinstance(before, dict) or (before is ABSENT and after)):
        keys = [*({} if before is ABSENT else before), *after]
        both = [fields(read(before, (key,)), read(after, (key,)), (*path, key)) for key in dict.fromkeys(keys)]
        return {path: values for one in both for path, values in one.items()}
    return {path: (before, after)}


def put(content, path, value, before):
    """The content with a field put back. Objects that were not there `before` go with their last field."""
    content = copy.deepcopy(content)
    parents, parent = [], content
    for key in path[:-1]:
        parents.append((parent, key))
        if not isinstance(parent.get(key), dict):
            if value is ABSENT:
                return content
            parent[key] = {}
        parent = parent[key]
    if value is not ABSENT:
        parent[path[-1]] = copy.deepcopy(value)
        return content
    parent.pop(path[-1], None)
    for depth in range(len(parents) - 1, -1, -1):
        above, key = parents[depth]
        if above[key] or read(before, path[: depth + 1]) is not ABSENT:
            break
        del above[key]
    return content


def both(fields, others):
    """The fields of both objects; where both have one, that of the others."""
    if not isinstance(fields, dict) or not isinstance(others, dict):
        return others
    return {key: both(fields[key], others[key]) if key in fields and key in others else {**fields, **others}[key]
        for key in {**fields, **others}}


def merge_patch(value, patch):
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    value = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            value.pop(key, None)
        else:
            value[key] = merge_patch(value.get(key), change)
    return value


# --- Graphs.


def parent_of(entity):
    return ("node", entity.content["parentId"]) if "parentId" in entity.content else None


def ends(entity):
    return [("node", entity.content["source"]), ("node", entity.content["target"])]


def inside(state, key):
    """A node with everything inside of it, and the edges of all that."""
    nodes = [key]
    for node in nodes:
        nodes += [k for k, e in state.items() if k[0] == "node" and parent_of(e) == node]
    return nodes + [k for k, e in state.items() if k[0] == "edge" and any(end in nodes for end in ends(e))]


def ancestors(state, key):
    above = []
    while key is not None and key in state and key not in above:
        above.append(key)
        key = parent_of(state[key])
    return above + ([key] if key is not None else [])


def broken(state, key):
    """What is wrong with an entity of a state (G4)."""
    entity = state[key]
    if key[0] == "edge":
        if any(end not in state for end in ends(entity)):
            return "DANGLING_EDGE"
    if key[0] == "node" and (parent := parent_of(entity)):
        if parent not in state:
            return "PARENT_NOT_FOUND"
        if key in ancestors(state, parent):
            return "PARENT_CYCLE"
    return None


def in_order(state, kind):
    """Creation order, but each node after its parent: always the oldest whose parents are in the list already (G5)."""
    left = sorted((k for k in state if k[0] == kind), key=lambda k: state[k].place)
    if kind == "edge":
        return left
    order = []
    while left:
        key = next(k for k in left if parent_of(state[k]) is None or parent_of(state[k]) in order)
        left.remove(key)
        order.append(key)
    return order


class World:
    """The history of one graph."""

    def __init__(self):
        viewport = Entity({"x": 0, "y": 0, "zoom": 1}, 0, 0, 0)
        self.states = [{GRAPH: Entity({}, 0, 0, 0), VIEWPORT: viewport}]
        self.commits = [Commit(None, None, None)]
        # By id: (version, user) of each creation and update. Moves and deletions don't count.
        self.work = {}
        # What commands deleted, as it was last, by version and id: a batch may have changed it before.
        self.gone = {}
        self.labels, self.hashes, self.places = {}, ["0" * 64], 0

    head = property(lambda self: self.states[-1])
    version = property(lambda self: len(self.states) - 1)

    def fork(self, version):
        """A copy with history: the commits up to a version."""
        other = copy.copy(self)
        other.states, other.commits = self.states[: version + 1], self.commits[: version + 1]
        other.hashes, other.labels = self.hashes[: version + 1], {}
        other.gone = {key: entity for key, entity in self.gone.items() if key[0] <= version}
        other.work = {key: [one for one in work if one[0] <= version] for key, work in self.work.items()}
        return other

    def add(self, state, commit, touched=None):
        """Commits a state. `touched` tells of each entity whether it was only moved; by default what differs is touched."""
        version, state = self.version + 1, dict(state)
        if touched is None:
            touched = {}
            for key, entity in state.items():
                stood = self.head.get(key)
                if stood is None or stood[:3] != entity[:3] or not same(stood.content, entity.content):
                    # What a restore exchanged for an older one is not only moved.
                    is_same = stood is not None and stood.place == entity.place
                    touched[key] = is_same and set(fields(stood.content, entity.content)) == {("position",)}
        for key in state.keys() & self.head.keys() - touched.keys():
            state[key] = self.head[key]
        for key, only_moved in touched.items():
            if key in state:
                state[key] = state[key]._replace(version=version)
                if not only_moved:
                    self.work.setdefault(key, []).append((version, commit.user))
        self.states.append(state)
        self.commits.append(commit)

    def content_version(self):
        """The last version that wrote a node, an edge or the viewport (L3)."""
        contents = [{key: entity for key, entity in state.items() if key != GRAPH} for state in self.states]
        return max((v for v in range(1, len(contents)) if contents[v] != contents[v - 1]), default=0)

    def new(self, content):
        self.places += 1
        return Entity(content, self.places, self.version + 1, self.version + 1)


# --- Commands on a draft of the next state. `touched` gathers what they wrote.


def without_null_parent(content):
    content = copy.deepcopy(content)
    if content.get("parentId", ABSENT) is None:
        del content["parentId"]
    return content


def run(world, draft, touched, kind, payload):
    """Runs one command; raises Refused. What changes nothing touches nothing (C1)."""
    element = "node" if "NODE" in kind else "edge"
    if kind in ("CREATE_NODE", "CREATE_EDGE"):
        key, content = (element, payload["id"]), without_null_parent(payload)
        if key in draft:
            if not same(draft[key].content, content):
                raise Refused(409, "ID_TAKEN")
            return
        write(draft, touched, key, world.new(content), False)
    elif kind in ("UPDATE_NODE", "UPDATE_EDGE"):
        key = existing(draft, element, payload[element + "Id"])
        content = merge_patch(draft[key].content, payload["updates"])
        write(draft, touched, key, draft[key]._replace(content=content), set(payload["updates"]) == {"position"})
    elif kind == "UPDATE_NODE_POSITION":
        key = existing(draft, "node", payload["nodeId"])
        content = {**draft[key].content, "position": payload["position"]}
        write(draft, touched, key, draft[key]._replace(content=content), True)
    elif kind in ("DELETE_NODE", "DELETE_EDGE"):
        key = existing(draft, element, payload[element + "Id"])
        for gone in inside(draft, key) if element == "node" else [key]:
            world.gone[world.version + 1, gone] = draft.pop(gone)
            touched[gone] = False
    elif kind == "SET_VIEWPORT":
        write(draft, touched, VIEWPORT, draft[VIEWPORT]._replace(content=payload), False)
    elif kind == "UPDATE_GRAPH":
        content = merge_patch(draft[GRAPH].content, payload["updates"])
        write(draft, touched, GRAPH, draft[GRAPH]._replace(content=content), False)
    elif kind == "BATCH_UPDATE":
        for name, node in payload["nodes"].items():
            key, content = ("node", name), without_null_parent(node)
            entity = draft[key]._replace(content=content) if key in draft else world.new(content)
            only_moved = key in draft and set(fields(draft[key].content, content)) == {("position",)}
            write(draft, touched, key, entity, only_moved, check=False)
        for name in payload["nodes"]:
            refuse_broken(draft, ("node", name))
    else:
        raise AssertionError(kind)


def refuse_broken(draft, key):
    if wrong := broken(draft, key):
        around = ends(draft[key]) if key[0] == "edge" else [parent_of(draft[key])]
        raise Refused(422, wrong, next((other for other in around if other not in draft), None))


def existing(draft, element, name):
    if (element, name) not in draft:
        raise Refused(404, f"{element.upper()}_NOT_FOUND")
    return element, name


def write(draft, touched, key, entity, only_moved, check=True):
    if key in draft and same(draft[key].content, entity.content):
        return
    draft[key] = entity
    if check:
        refuse_broken(draft, key)
    touched[key] = touched.get(key, True) and only_moved


# --- Restore.


def restore(world, to, named, include):
    """The graph as it was at a version, as a whole or the `named` entities: the draft and what was skipped."""
    head, then = world.head, world.states[to]
    draft, skipped = dict(head), {}
    if "viewport" in include:
        draft[VIEWPORT] = draft[VIEWPORT]._replace(content=then[VIEWPORT].content)
    if "attributes" in include:
        settings = {k: v for k, v in head[GRAPH].content.items() if k == "settings"}
        content = {k: v for k, v in then[GRAPH].content.items() if k != "settings"}
        draft[GRAPH] = draft[GRAPH]._replace(content={**content, **settings})
    if named is None:
        draft = {key: draft[key] for key in (GRAPH, VIEWPORT)} | {k: e for k, e in then.items() if k[0] in ("node", "edge")}
        for key in draft.keys() & head.keys():
            # What stands as it was is not written.
            if same(draft[key].content, head[key].content) and draft[key].place == head[key].place:
                draft[key] = head[key]
        return draft, skipped
    puts = [key for key in named if key in then and not is_as_it_was(draft.get(key), then[key])]
    while puts:
        left = {}
        for key in puts:
            changed = {**draft, key: then[key]}
            if wrong := broken(changed, key):
                left[key] = wrong
            else:
                draft = changed
        if len(left) == len(puts):
            skipped.update(left)
            break
        puts = list(left)
    for key in named:
        if key not in then and key in draft:
            whole = inside(draft, key) if key[0] == "node" else [key]
            if any(other in then for other in whole):
                skipped[key] = "IN_USE"
            else:
                draft = {k: e for k, e in draft.items() if k not in whole}
    return draft, skipped


def is_as_it_was(stands, was):
    return stands is not None and same(stands.content, was.content) and stands.place == was.place
