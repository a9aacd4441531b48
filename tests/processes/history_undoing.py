"""People who undo and restore, and how the answers are judged."""

from history_game import LABELS, NODES, Game
from history_rules import Commit, Refused, read, restore, same
from history_undo import Undo


class Undoing(Game):
    """What they take back and bring back."""

    # --- Undo.

    def play_undo(self, history, user, entries=None, policy=None):
        rng, world = self.rng, history.world
        if not history.turns:
            return "nothing"
        entries_given = entries is not None
        if not entries_given:
            lately = history.turns[-rng.choice([1, 3, 8, 30]):]
            own = [turn for turn in lately if turn.user == user]
            chosen = [rng.choice(own or lately if rng.random() < 0.6 else lately) for _ in range(rng.choice([1, 1, 1, 2, 4]))]
            entries = list({turn.operation: turn for turn in chosen}.values())
        policy = policy or rng.choice(["merge"] * 4 + ["reject", "overwrite"])
        payload = {"operations": [{"operationId": turn.operation, "version": turn.version} for turn in entries]}
        if not entries_given and rng.random() < 0.03:
            payload["operations"][0]["version"] += 1
        envelope = {"onConflict": policy}
        if not entries_given and rng.random() < 0.1:
            envelope["clientVersion"] = rng.randint(0, world.version + 1)
        turn, answer = self.send(history, user, "UNDO", payload, **envelope)

        refusal = None
        is_wrong = any(not self.can_undo(history, entry, asked) for entry, asked in zip(entries, payload["operations"]))
        if envelope.get("clientVersion", 0) > world.version:
            refusal = Refused(409, "VERSION_AHEAD")
        elif is_wrong:
            refusal = Refused(404, "OPERATION_NOT_FOUND")
        if refusal:
            self.judge(history, turn, answer, None, None, refusal)
            return "undo of nothing"
        versions = [entry.version for entry in entries if entry.outcome != "unchanged"]
        undo = Undo(world, versions, policy)
        changes, reverted = undo.changes(), undo.reverted()
        if undo.skipped and (policy != "merge" or not changes):
            refusal = Refused(409, "UNDO_CONFLICT")
        before = world.version
        skips = undo.skipped
        self.judge(history, turn, answer, undo.draft, None if changes else {}, refusal, tuple(entry.operation for entry in entries if entry.outcome != "unchanged"))
        if refusal:
            listed = answer["resolution"]["conflicts"]
            said = {(c["entity"], c["id"], c["path"]): c for c in listed}
            self.equal(len(listed), len(said), f"paths in {listed}")
            self.equal(set(said), set(skips), "conflicts")
            return "refused undo"
        result = answer["result"]
        said = {(s["entity"], s["id"], s["path"]): s for s in result["skipped"]}
        self.equal(len(result["skipped"]), len(said), f"paths in {result['skipped']}")
        self.equal({key: s["reason"] for key, s in said.items()}, {key: skip[0] for key, skip in skips.items()}, "skipped")
        for key, (reason, yours, current) in skips.items():
            if reason in ("TAKEN_OVER", "TARGET_DELETED", "ID_TAKEN"):
                self.equal((said[key]["yours"], said[key]["current"]), (yours, current), f"yours and current of {key}")
            commit = world.commits[said[key]["version"]]
            self.equal((said[key]["userId"], said[key]["operationId"]), (commit.user, commit.operation), f"writer of {key}")
            if reason == "TAKEN_OVER":
                # A later commit may have written the same value.
                self.check(said[key]["version"] >= self.last_change(world, key, before), said[key])
        said = {(r["entity"], r["id"]): r["paths"] for r in result["reverted"]}
        self.equal(*({key: self.outermost(paths) for key, paths in one.items()} for one in (said, reverted)), "reverted")
        self.equal(set(result["detached"]), set(undo.detached), "detached")
        if changes:
            self.equal(answer["outcome"], "merged" if skips else "applied", "outcome")
            if policy != "overwrite" and rng.random() < 0.3:
                self.undo_again(history, user, turn, before)
        return "undo"

    def outermost(self, paths):
        """What came or went as a whole may name paths inside of it too."""
        return {path for path in paths if not any(path.startswith(other + "/") for other in paths)}

    def last_change(self, world, key, until):
        """The last version that changed a field."""
        path = [part for part in key[2].split("/") if part]
        values = [read(state[key[:2]].content, path) if key[:2] in state else None for state in world.states]
        return max(v for v in range(1, until + 1) if not same(values[v], values[v - 1]) or self.is_other(world, key[:2], v))

    def is_other(self, world, key, version):
        """Whether a commit deleted something and put another under its id."""
        before, after = (world.states[v].get(key) for v in (version - 1, version))
        return before and after and before.place != after.place

    def can_undo(self, history, entry, asked):
        # What was unchanged has no commit, so its version doesn't matter.
        return entry.status == 200 and (entry.outcome == "unchanged" or asked["version"] == entry.version)

    def undo_again(self, history, user, turn, before):
        """Undo of an undo is as if nothing had been, and so is the redo of that."""
        world = history.world
        for version in (before, before + 1):
            self.play_undo(history, user, [turn], "merge")
            turn = history.turns[-1]
            for key in {*world.states[version], *world.head}:
                then, now = world.states[version].get(key), world.head.get(key)
                self.check(then and now and same(then.content, now.content) and then.place == now.place, key, then, now)

    # --- Restore.

    def name_of_version(self, history):
        """A name of a version for `at` and `to`, and the version, or the refusal."""
        rng, world = self.rng, history.world
        way = rng.choice(["version"] * 4 + ["label"] * 2 + ["time", "head"])
        if way == "label":
            label = rng.choice(LABELS)
            known = world.labels.get(label)
            return label, known["version"] if known else Refused(404, "LABEL_NOT_FOUND")
        if way == "time":
            moment = rng.choice(world.commits[1:] or [Commit(None, None, None, time=1_700_000_000_000)]).time + rng.choice([-1, 0, 1])
            return moment, max([v for v, c in enumerate(world.commits) if v and c.time <= moment], default=0)
        if way == "head":
            return "head", world.version
        version = rng.randint(max(0, world.version - rng.choice([3, 10, 1000])), world.version + (rng.random() < 0.05))
        return version, version if version <= world.version else Refused(404, "VERSION_NOT_FOUND")

    def play_restore(self, history, user):
        rng, world = self.rng, history.world
        name, to = self.name_of_version(history)
        payload, named, include = {"to": name}, None, rng.sample(["attributes", "viewport"], rng.choice([0, 0, 1, 2]))
        if include:
            payload["include"] = include
        if rng.random() < 0.5:
            edges = [f"e{i}" for i in range(6)]
            payload["nodes"] = rng.sample(NODES, rng.randint(0, 4))
            payload["edges"] = rng.sample(edges, rng.randint(0 if payload["nodes"] else 1, 3))
            named = [("node", name) for name in payload["nodes"]] + [("edge", name) for name in payload["edges"]]
        envelope = {}
        if rng.random() < 0.3:
            envelope["clientVersion"] = rng.randint(max(0, world.version - 2), world.version + (rng.random() < 0.1))
            if rng.random() < 0.3:
                envelope["onConflict"] = "overwrite"
        turn, answer = self.send(history, user, "RESTORE_VERSION", payload, **envelope)
        since = envelope.get("clientVersion", world.version)
        others = [c for c in world.commits[since + 1:] if c.client != turn.body["clientId"]]
        refusal = to if isinstance(to, Refused) else None
        if since > world.version:
            refusal = Refused(409, "VERSION_AHEAD")
        draft, skipped = restore(world, to, named, include) if not refusal else (None, {})
        if not refusal and others and envelope.get("onConflict") != "overwrite" and self.differs(world.head, draft):
            refusal = Refused(409, "CONFLICT")
        head = world.head
        self.judge(history, turn, answer, draft, None if draft and self.differs(head, draft) else {}, refusal)
        if refusal:
            return "refused restore"
        result = answer["result"]
        self.equal({(s["entity"], s["id"]): s["reason"] for s in result["skipped"]}, skipped, "skipped")
        for kind in ("node", "edge"):
            then, now = ({key[1]: e for key, e in state.items() if key[0] == kind} for state in (head, draft))
            updated = {i for i in then.keys() & now.keys() if then[i].place != now[i].place or not same(then[i].content, now[i].content)}
            self.equal(self.once(result["created"][kind + "s"]), now.keys() - then.keys(), "created")
            self.equal(self.once(result["deleted"][kind + "s"]), then.keys() - now.keys(), "deleted")
            self.equal(self.once(result["updated"][kind + "s"]), updated, "updated")
        self.equal(result["to"], to, "to")
        if answer["outcome"] != "unchanged":
            self.equal(answer["outcome"], "merged" if skipped or others else "applied", "outcome")
        if named is None:
            status, diff = self.get(history, f"/diff?from={to}")
            is_left = [*diff["nodes"].values(), *diff["edges"].values()]
            self.check(status == 200 and not any(is_left), diff)
        return "partial restore" if named else "restore"

    def differs(self, head, draft):
        return head.keys() != draft.keys() or any(
            head[key].place != draft[key].place or not same(head[key].content, draft[key].content) for key in head)
