"""A model of document saves: what a save makes of a graph (DS2 to DS12). It knows no server.

Graphs are {(kind, id): content} with the nodes first.
"""

import copy

from history_events import POSITION, leaves, put_leaf
from history_rules import ABSENT, fields, pointer, read, same


def parent(content):
    return ("node", content["parentId"]) if "parentId" in content else None


def ends(content):
    return [("node", content[end]) for end in ("source", "target")]


def contained(graph, node):
    """A node, the nodes inside of it and the edges of all of them."""
    nodes = [node]
    for one in nodes:
        nodes += [key for key, content in graph.items() if key[0] == "node" and parent(content) == one and key not in nodes]
    return nodes + [key for key, content in graph.items() if key[0] == "edge" and any(end in nodes for end in ends(content))]


def difference(before, after):
    """The smallest events that lead from one graph to another (DS12), in any order."""
    events = []
    for key in {**before, **after}:
        kind, name = key
        prefix = kind.capitalize()
        if key not in after:
            events.append({"type": prefix + "Deleted", kind + "Id": name})
        elif key not in before:
            events.append({"type": prefix + "Created", kind: after[key]})
        else:
            changed = fields(before[key], after[key])
            if kind == "node" and POSITION in changed:
                _, position = changed.pop(POSITION)
                events.append({"type": "NodeMoved", "nodeId": name, "position": position})
            if any(has_null(value) for _, value in changed.values()):
                events.append({"type": prefix + "Replaced", kind: after[key]})
            elif changed:
                patch = {}
                for path, (_, value) in changed.items():
                    patch = put_leaf(patch, path, None if value is ABSENT else value)
                events.append({"type": prefix + "Updated", kind + "Id": name, "patch": patch})
    return events


def has_null(value):
    return value is None or isinstance(value, dict) and any(map(has_null, value.values()))


class Save:
    """A save: the graph `after` it, the `conflicts` as (code, kind, id, path), and what it deleted beside its intent.

    `base` is the effective base (DS3), `since` tells what others wrote since. With `keep` what conflicts is left out of
    `after`; with `overwrite` it is in it, and only what can't be is in `conflicts`. `failures` are the codes of what can't
    stand whoever wins. What the document lacks stays if
    `keeps_absent` says so (DS6, DS7).
    """

    def __init__(self, base, head, wanted, since, policy, keeps_absent=False):
        self.base, self.head, self.wanted, self.since, self.policy = base, head, copy.deepcopy(wanted), since, policy
        self.after, self.conflicts, self.deleted, self.also_deleted, self.touched = dict(head), set(), [], [], set()
        self.keeps_absent, self.failures = keeps_absent, set()
        self.put_nodes()
        for key in [key for key in wanted if key[0] == "edge"]:
            self.put(key)
        if not keeps_absent:
            self.delete()
        if policy == "reject":
            self.conflicts |= {("CONFLICT", *key, "") for key in self.touched & since.touched}

    def conflict(self, code, key, path=()):
        """Notes a conflict; whether the document wins."""
        if self.policy != "overwrite":
            self.conflicts.add((code, *key, pointer(path)))
        return self.policy == "overwrite"

    def broken(self, code, key, missing, path):
        """What can't stand is a conflict if that is because of a deletion since (D4); else the whole save fails."""
        if missing in self.since.deleted:
            self.conflicts.add((code, *key, pointer(path)))
        else:
            self.failures.add(code)

    def put_nodes(self):
        """Nodes in the order of the document, parents first (DS6)."""
        done = set()

        def put(key):
            if key[0] == "node" and key not in done:
                done.add(key)
                if (above := parent(self.wanted[key])) in self.wanted:
                    put(above)
                self.put(key)

        for key in self.wanted:
            put(key)

    def put(self, key):
        """What the document says of an entity: added, changed, or left alone."""
        content, stands = self.wanted[key], self.after.get(key, ABSENT)
        if key not in self.base:
            if stands is ABSENT:
                self.place(key, content)
                return
            differs = self.changed(stands, content)
            if differs and self.conflict("ID_TAKEN", key):
                self.place(key, self.overlaid(stands, differs))
            return
        changed = self.changed(self.base[key], content)
        if not changed:
            return
        if stands is ABSENT or key in self.since.deleted_by_others:
            # What others created anew under the id is another one.
            if self.conflict("TARGET_DELETED", key):
                self.place(key, content if stands is ABSENT else self.overlaid(stands, self.changed(stands, content)))
            return
        self.touched.add(key)
        if any(has_null(value) for _, value in changed.values()):
            # No patch can say that: the entity is written as a whole, but for its position, which is a change of its own.
            if POSITION in changed:
                stands = put_leaf(stands, POSITION, changed.pop(POSITION)[1])
                self.place(key, stands, POSITION)
            merged = self.overlaid(stands, changed)
            if not same(merged, stands) and (not self.since.wrote(key, ()) or self.conflict("CONFLICT", key)):
                self.place(key, merged)
            return
        for path, (_, value) in changed.items():
            merged = put_leaf(self.after[key], path, value)
            if same(merged, self.after[key]):
                continue
            if path == POSITION or not self.since.wrote(key, path) or self.conflict("CONFLICT", key, path):
                self.place(key, merged, path)

    def changed(self, before, after):
        """The fields that an author changed. A null is as good as absent (A3)."""
        changed = {}
        for path, (was, value) in fields(before, after).items():
            # An object in place of another value is written field by field.
            inner = leaves(value, path) if isinstance(value, dict) and path != POSITION and not has_null(value) else {path: value}
            changed |= {one: (was, value) for one, value in inner.items() if not (was in (ABSENT, None) and value in (ABSENT, None))}
        return {path: sides for path, sides in changed.items() if not (self.keeps_absent and sides[1] is ABSENT)}

    def overlaid(self, content, changed):
        for path, (_, value) in changed.items():
            content = put_leaf(content, path, value)
        return content

    def place(self, key, content, path=None):
        """Puts an entity, or one field of it, if the graph allows it (G4)."""
        if key[0] == "edge":
            for end, field in zip(ends(content), ("source", "target")):
                if end not in self.after and path in (None, (field,)):
                    return self.broken("DANGLING_EDGE", key, end, (field,))
        elif path in (None, ("parentId",)) and (above := parent(content)):
            if above not in self.after:
                return self.broken("PARENT_NOT_FOUND", key, above, ("parentId",))
            if above in contained({**self.after, key: content}, key):
                return self.broken("PARENT_CYCLE", key, None, ("parentId",))
        self.after[key] = content

    def delete(self):
        """What the document lacks of its base, children before their parents."""
        left = [key for key in self.base if key not in self.wanted and key in self.after]
        for key in sorted(left, key=lambda key: (key[0] == "node", -self.depth(key))):
            if key not in self.after:
                continue
            if self.policy == "overwrite" and key[0] == "node":
                self.take_out(key)
            whole = contained(self.after, key) if key[0] == "node" else [key]
            if key in self.since.deleted_by_others:
                if not self.conflict("TARGET_DELETED", key):
                    continue
            self.touched |= {*whole}
            unseen = [other for other in whole if (other == key or other[0] == "node") and self.since.updated(other)]
            if all([self.conflict("CONFLICT", other) for other in unseen]):
                self.deleted.append(key)
                self.also_deleted += [other for other in whole if other not in left]
                self.after = {other: content for other, content in self.after.items() if other not in whole}

    def take_out(self, key):
        """What the document has is not deleted along with a node that others put it into (DS9)."""
        for other in contained(self.after, key)[1:]:
            content, mine = self.after[other], self.wanted.get(other)
            if mine is None:
                continue
            if other[0] == "node" and parent(content) not in self.wanted:
                # It goes where the document has it.
                taken_out = {field: content[field] for field in content if field not in ("parentId", "extent")}
                above = {field: mine[field] for field in ("parentId", "extent") if field in mine}
                self.after[other] = taken_out | (above if parent(mine) in self.after else {})
            elif other[0] == "edge" and all(end in self.wanted and end in self.after for end in ends(mine)):
                if any(end not in self.wanted for end in ends(content)):
                    self.after[other] = {**content, "source": mine["source"], "target": mine["target"]}

    def depth(self, key):
        above = parent(self.after[key]) if key[0] == "node" else None
        return 0 if above is None else 1 + self.depth(above)
