"""A model of histories: how commands are judged on what others wrote since (D1 to D5, D7, H11). It knows no server."""

from history_events import POSITION, leaves, put_leaf
from history_rules import ABSENT, GRAPH, VIEWPORT, Refused, fields, inside, read, run, same

GONE = ("TARGET_DELETED", "NODE_NOT_FOUND", "EDGE_NOT_FOUND")


class Judge:
    """Judges commands one after the other on a draft of the next state. `since` is None where nothing is stale."""

    def __init__(self, world, draft, touched):
        self.world, self.draft, self.touched, self.is_merged = world, draft, touched, False

    def command(self, kind, payload, since, policy):
        if since is None:
            return run(self.world, self.draft, self.touched, kind, payload)
        keys = self.targets(kind, payload)
        stood = set() if kind.startswith("CREATE") else self.draft.keys() & keys
        for key in keys:
            self.existence(kind, key, since)
        self.conflicts(kind, payload, keys, since, policy)
        try:
            run(self.world, self.draft, self.touched, kind, payload)
        except Refused as refused:
            if refused.missing in since.deleted:
                # A missing end or parent is a conflict if it was deleted since (D4).
                raise Refused(409, refused.code)
            raise
        # Also a member of a batch that changes nothing has met the work of others (D2).
        self.is_merged |= bool(stood & since.touched)

    def targets(self, kind, payload):
        if kind == "SET_VIEWPORT":
            return [VIEWPORT]
        if kind == "UPDATE_GRAPH":
            return [GRAPH]
        if kind == "BATCH_UPDATE":
            return [("node", name) for name in payload["nodes"]]
        element = "node" if "NODE" in kind else "edge"
        return [(element, payload["id"] if "CREATE" in kind else payload[element + "Id"])]

    def existence(self, kind, key, since):
        """D4: what was deleted since is not there, or is another one."""
        if kind.startswith("CREATE") or key in (VIEWPORT, GRAPH):
            return
        # One's own deletion counts only while the target is not there (D1).
        if key in since.deleted_by_others or (key not in self.draft and key in since.deleted):
            raise Refused(409, "TARGET_DELETED")
        if key not in self.draft and kind != "BATCH_UPDATE":
            raise Refused(404, f"{key[0].upper()}_NOT_FOUND")

    def conflicts(self, kind, payload, keys, since, policy):
        if kind.startswith("CREATE"):
            return
        if policy == "reject":
            whole = {other for key in keys for other in (inside(self.draft, key) if kind == "DELETE_NODE" else [key])}
            if whole & since.touched:
                raise Refused(409, "CONFLICT")
        listed = {}
        if kind in ("UPDATE_NODE", "UPDATE_EDGE", "UPDATE_GRAPH"):
            content = self.draft[keys[0]].content
            for path, value in leaves(payload["updates"]).items():
                put = ABSENT if value is None else value
                if since.wrote(keys[0], path) and not same(put_leaf(content, path, put), content):
                    listed[keys[0], path] = value, shown(content, path)
        elif kind in ("DELETE_NODE", "DELETE_EDGE"):
            whole = inside(self.draft, keys[0]) if kind == "DELETE_NODE" else keys
            for key in whole:
                if (key == keys[0] or key[0] == "node") and since.updated(key):
                    listed[key, ()] = None, self.draft[key].content
        elif kind == "BATCH_UPDATE":
            for key in keys:
                content = payload["nodes"][key[1]]
                if key in self.draft:
                    for path in self.replaced(self.draft[key].content, content):
                        if since.wrote(key, path):
                            listed[key, path] = shown(content, path), shown(self.draft[key].content, path)
        if listed and policy == "overwrite":
            self.is_merged = True
        elif listed:
            raise Refused(409, "CONFLICT", listed=listed)

    def replaced(self, stands, content):
        """The paths that an event writes which turns one content into the other (D3)."""
        changed = fields(stands, content)
        if any(has_null(after) for _, after in changed.values()):
            return [()]
        return list(changed)


def has_null(value):
    if isinstance(value, dict):
        return any(map(has_null, value.values()))
    return value is None


def shown(content, path):
    value = read(content, path)
    return None if value is ABSENT else value
