"""A model of histories: what events say (docs/events.md), and what others wrote since a version (D1 to D4)."""

import copy

from history_rules import ABSENT, GRAPH, VIEWPORT, merge_patch, same, without_null_parent

DELETED = type("Deleted", (), {"__repr__": lambda self: "deleted"})()
POSITION = ("position",)


def leaves(patch, path=()):
    """The leaf paths of a patch, with what it puts there. A position is one field (D2)."""
    if isinstance(patch, dict) and patch and path != POSITION:
        both = [leaves(value, (*path, key)) for key, value in patch.items()]
        return {path: value for one in both for path, value in one.items()}
    return {path: patch}


def overlap(one, other):
    """A path and its ancestor overlap (D2)."""
    depth = min(len(one), len(other))
    return one[:depth] == other[:depth]


def put_leaf(content, path, value):
    """The content with one field put or removed, as a merge patch of that field alone does it."""
    content = copy.deepcopy(content) if isinstance(content, dict) else {}
    if len(path) > 1:
        content[path[0]] = put_leaf(content.get(path[0]), path[1:], value)
    elif value is ABSENT:
        content.pop(path[0], None)
    else:
        content[path[0]] = copy.deepcopy(value)
    return content


def target(event):
    """The entity that an event is about, or None."""
    kind = event["type"]
    if kind == "ViewportSet":
        return VIEWPORT
    if kind in ("GraphCreated", "GraphUpdated"):
        return GRAPH
    for element in ("node", "edge"):
        if kind.startswith(element.capitalize()):
            return element, event.get(element + "Id") or event[element]["id"]
    return None


def written(events):
    """(entity, path) of all that events write, in their order. The path of a whole entity is ()."""
    writes = []
    for event in events:
        key, kind = target(event), event["type"]
        if key is None:
            continue
        if kind.endswith("Deleted"):
            writes.append((key, DELETED))
        elif kind.endswith("Updated"):
            writes += [(key, path) for path in leaves(event["patch"])]
        else:
            writes.append((key, POSITION if kind == "NodeMoved" else ()))
    return writes


def fold(contents, events, strict=True):
    """The contents after events. Not strict, it passes over what is about an entity that is not there."""
    contents = dict(contents)
    for event in events:
        key, kind = target(event), event["type"]
        if key is None:
            continue
        stands = contents.get(key)
        is_new = kind in ("NodeCreated", "EdgeCreated")
        assert not strict or (stands is None) == is_new or kind.endswith("Restored"), (event, stands)
        if kind.endswith("Deleted"):
            contents.pop(key, None)
            continue
        if kind.endswith("Updated") or kind == "NodeMoved":
            if stands is None:
                continue
            patch = event["patch"] if kind.endswith("Updated") else {"position": event["position"]}
            contents[key] = merge_patch(stands, patch)
        else:
            field = {VIEWPORT: "viewport", GRAPH: "attributes"}.get(key, key[0])
            contents[key] = without_null_parent(event[field])
        # What changes nothing is no event (C1), but a restored entity may only get its place back.
        assert not strict or kind.endswith("Restored") or kind == "GraphCreated" or not same(stands, contents[key]), event
    return contents


class Since:
    """What was committed after a version, as somebody sees it whose own commits `is_own` tells."""

    def __init__(self, world, version, is_own):
        self.world, self.version = world, version
        # What others wrote, by entity. What was written before its last deletion is gone with it (D3).
        self.paths = {}
        self.touched = set()
        self.deleted, self.deleted_by_others, self.others = set(), set(), []
        for number in range(version + 1, world.version + 1):
            own = is_own(number, world.commits[number])
            if not own:
                self.others.append(number)
            for key, path in written(world.commits[number].events):
                if path is DELETED:
                    self.paths.pop(key, None)
                    self.deleted.add(key)
                elif not own:
                    self.paths.setdefault(key, set()).add(path)
                if not own:
                    self.touched.add(key)
                    if path is DELETED:
                        self.deleted_by_others.add(key)

    def wrote(self, key, path):
        """Whether others wrote a field, or something around or inside of it."""
        return any(overlap(path, other) for other in self.paths.get(key, ()))

    def updated(self, key):
        """Whether others wrote more of an entity than where it is (D3)."""
        return any(path != POSITION for path in self.paths.get(key, ()))

    def last_writer(self, key, path):
        """The last version that wrote a field, whoever wrote it."""
        writes = [number for number in range(1, self.world.version + 1) for one, other in written(self.world.commits[number].events)
            if one == key and (other is DELETED or overlap(path, other))]
        return writes[-1]
