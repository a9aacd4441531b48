"""A model of histories: what undo (U3 to U8) makes of a graph. It knows no server."""

from history_rules import ABSENT, GRAPH, VIEWPORT, Entity, both, broken, ends, fields, inside, parent_of, pointer, put, read, same

# Fields that go back together or not at all.
TOGETHER = {("source",): "ends", ("target",): "ends", ("parentId",): "parent", ("extent",): "parent"}


class Undo:
    """Takes back commits of a world, the newest first. `draft` is what comes of it."""

    def __init__(self, world, versions, policy):
        self.world, self.policy, self.draft = world, policy, dict(world.head)
        self.authors = {world.commits[version].user for version in versions}
        self.skipped, self.detached, self.paths = {}, [], {}
        for version in sorted(set(versions), reverse=True):
            self.take_back(version)
        self.detached = [name for name in self.detached if ("node", name) in self.draft]

    def skip(self, reason, key, path, yours, current=None):
        """One entry for each path: of several operations the oldest says what was to stand there."""
        path = (*key, pointer(path))
        known = self.skipped.get(path)
        if known and known[0] == reason == "TARGET_DELETED":
            yours = both(known[1], yours)
        self.skipped[path] = reason, yours, current

    def take_back(self, version):
        before, after = self.world.states[version - 1], self.world.states[version]
        gone = {key: before[key] for key in before if key not in after}
        self.put_together(self.nodes_back(gone) + self.fields_back(before, after, version))
        self.put_together([(key, entity) for key, entity in gone.items() if key[0] == "edge" and self.is_free(key, entity)])
        created = {key for key in after if key not in before and key in self.draft}
        for key in sorted(created, key=lambda key: key[0] != "edge"):
            if key in self.draft:
                self.creation_back(key, version, created)

    def is_free(self, key, entity):
        stands = self.draft.get(key)
        if stands is None:
            return True
        if same(stands.content, entity.content):
            return False
        if self.policy == "overwrite":
            return True
        self.skip("ID_TAKEN", key, (), entity.content, stands.content)
        return False

    def nodes_back(self, gone):
        puts = []
        nodes = {key: entity for key, entity in gone.items() if key[0] == "node"}
        for key, entity in nodes.items():
            if self.is_free(key, entity):
                parent = parent_of(entity)
                if parent and parent not in self.draft and parent not in nodes:
                    entity = self.on_its_own(key, entity)
                puts.append((key, entity))
        return puts

    def on_its_own(self, key, entity):
        """A node whose parent is gone, at its absolute position (U7)."""
        position, parent = dict(entity.content["position"]), parent_of(entity)
        while parent is not None:
            above = self.draft.get(parent) or self.last_seen(parent)
            position = {axis: position[axis] + above.content["position"][axis] for axis in ("x", "y")}
            parent = parent_of(above)
        content = {k: v for k, v in entity.content.items() if k not in ("parentId", "extent")}
        self.detached.append(key[1])
        return entity._replace(content={**content, "position": position})

    def last_seen(self, key):
        states, gone = self.world.states, self.world.gone
        version = max(version for version, state in enumerate(states) if key in state)
        return gone.get((version + 1, key), states[version][key])

    def fields_back(self, before, after, version):
        puts = []
        for key in before:
            if key not in after:
                continue
            was, left = before[key], after[key]
            if key == VIEWPORT:
                changed = {} if same(was.content, left.content) else {(): (was.content, left.content)}
            else:
                changed = {p: c for p, c in fields(was.content, left.content).items() if (key, p[:1]) != (GRAPH, ("settings",))}
            if key not in self.draft:
                if changed:
                    yours = {}
                    for path, (value, _) in changed.items():
                        while value is ABSENT and read(was.content, path[:-1]) is ABSENT:
                            path = path[:-1]
                        yours = put(yours, path, None if value is ABSENT else value, {})
                    self.skip("TARGET_DELETED", key, (), yours)
                continue
            # Where objects came, went and stand again, their fields are told apart.
            is_object = lambda value: value is ABSENT or isinstance(value, dict)
            for path, sides in list(changed.items()):
                stands = read(self.draft[key].content, path)
                if path and path != ("position",) and all(map(is_object, sides)):
                    if isinstance(stands, dict) and not any(same(stands, side) for side in sides):
                        del changed[path]
                        changed |= fields(*({} if side is ABSENT else side for side in sides), path)
            for path in dict.fromkeys(self.field(self.draft[key].content, path) for path in changed):
                value, leaves, stands = (read(e.content, path) for e in (was, left, self.draft[key]))
                if same(stands, value):
                    continue
                if same(stands, leaves) or self.policy == "overwrite":
                    puts.append((key, path, value))
                else:
                    self.skip("TAKEN_OVER", key, path, *(None if v is ABSENT else v for v in (value, stands)))
            if was.place != left.place and (self.policy == "overwrite" or not self.others_work(key, version)):
                self.draft[key] = self.draft[key]._replace(place=was.place, born=was.born)
                self.paths.setdefault(key, set()).add(())
        groups = {}
        for key, path, value in puts:
            groups.setdefault((key, TOGETHER.get(path[:1], path)), {})[path] = value, before[key].content
        return [(key, put) for (key, _), put in groups.items()]

    def field(self, stands, path):
        """A path, or the field around it where no object stands any more."""
        ends = (path[:depth] for depth in range(1, len(path)) if not isinstance(read(stands, path[:depth]), dict))
        return next(ends, path)

    def others_work(self, key, version):
        return any(when > version and who not in self.authors for when, who in self.world.work.get(key, ()))

    def put_together(self, puts):
        """Puts what doesn't break G4, in any order that goes; skips the rest. What is put is an entity, or fields of one."""
        while puts:
            left = []
            for key, put_back in puts:
                entity = self.draft.get(key)
                if isinstance(put_back, Entity):
                    # What stands under the id keeps its place.
                    entity = entity._replace(content=put_back.content) if entity else put_back
                else:
                    for path, (value, before) in put_back.items():
                        entity = entity._replace(content=put(entity.content, path, value, before) if path else value)
                draft = {**self.draft, key: entity}
                wrong = broken(draft, key)
                if wrong and (isinstance(put_back, Entity) or any(path[:1] in TOGETHER for path in put_back)):
                    left.append((key, put_back, wrong))
                    continue
                self.draft = draft
                self.paths.setdefault(key, set()).update({()} if isinstance(put_back, Entity) else put_back)
            if len(left) == len(puts):
                for key, put_back, wrong in left:
                    self.skip(wrong, key, () if isinstance(put_back, Entity) else next(iter(put_back)), None)
                return
            puts = [one[:2] for one in left]

    def creation_back(self, key, version, created):
        whole = inside(self.draft, key) if key[0] == "node" else [key]
        older = lambda other: other not in created and self.draft[other].born < self.draft[key].born
        if self.policy != "overwrite" and any(self.others_work(other, version) or older(other) for other in whole):
            self.skip("IN_USE", key, (), None)
            return
        for other in whole:
            del self.draft[other]

    def reverted(self):
        """{(kind, id): paths} of what differs from the head."""
        head, paths = self.world.head, {}
        for key in {*head, *self.draft}:
            if key not in head or key not in self.draft:
                paths[key] = {""}
                continue
            shown = {self.shown(path, head[key], self.draft[key]) for path in self.paths.get(key, ())} - {None}
            if shown:
                paths[key] = {pointer(path) for path in shown}
        return paths

    def shown(self, path, was, is_now):
        """A field that was put back, or the object around it that came or went with it. None if nothing came of it."""
        if path == () and was.place != is_now.place:
            return path
        for depth in range(1, len(path) + 1):
            values = [read(entity.content, path[:depth]) for entity in (was, is_now)]
            if depth == len(path) or ABSENT in values:
                return None if same(*values) else path[:depth]
        return None if same(was.content, is_now.content) else path

    def changes(self):
        head = self.world.head
        return self.reverted() or any(self.draft[key].place != head[key].place for key in head)
