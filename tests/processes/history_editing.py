"""People who edit, also on what they saw a while ago, and how the answers are judged (C, D, H11)."""

from history_events import Since
from history_game import Game
from history_rules import Refused, read
from history_stale import GONE, Judge


class Editing(Game):
    """What they edit, and on which version."""

    def since(self, history, turn, version):
        """What was committed since a version, as the sender of a turn sees it (D1)."""
        client = turn.body["clientId"]
        is_own = lambda _, commit: client and (commit.user, commit.client) == (turn.user, client)
        return Since(history.world, version, is_own)

    def point(self, history):
        """A version that somebody saw, perhaps with its hash, and the refusal if there is no such version (D6, D8)."""
        rng, world = self.rng, history.world
        version = rng.randint(max(0, world.version - rng.choice([2, 6, 20])), world.version + (rng.random() < 0.05))
        point, refusal = {"clientVersion": version}, None
        if version > world.version:
            refusal = Refused(409, "VERSION_AHEAD")
        if rng.random() < 0.5:
            known = world.hashes[version] if version <= world.version else None
            point["clientHash"] = known if known and rng.random() < 0.95 else self.id().replace("-", "") * 2
            if point["clientHash"] != known:
                refusal = Refused(409, "HISTORY_REPLACED")
        return point, refusal

    def play_edit(self, history, user):
        rng, world = self.rng, history.world
        count = 1 if rng.random() < 0.8 else rng.randint(2, 4)
        members = [dict(zip(("type", "payload"), self.edit(world))) for _ in range(count)]
        envelope, points, own = {}, [None] * count, None
        if rng.random() < 0.5:
            envelope, refusal = self.point(history)
            own = envelope, refusal
            points = [own] * count
        envelope |= {"onConflict": rng.choice(["merge", "merge", "overwrite", "reject"])} if rng.random() < 0.6 else {}
        policies = [envelope.get("onConflict", "merge")] * count
        if rng.random() < 0.1:
            envelope["clientId"] = None
        if count > 1:
            if rng.random() < 0.5:
                envelope["ifMissing"] = rng.choice(["skip", "refuse"])
            for index, member in enumerate(members):
                if rng.random() < 0.2:
                    points[index] = self.point(history)
                    member |= points[index][0]
                if rng.random() < 0.2:
                    policies[index] = rng.choice(["merge", "overwrite", "reject"])
                    member["onConflict"] = policies[index]
            turn, answer = self.send(history, user, "BATCH", members, **envelope)
        else:
            turn, answer = self.send(history, user, *members[0].values(), **envelope)

        judge, skipped = Judge(world, dict(world.head), {}), []
        by_version = {point[0]["clientVersion"]: self.since(history, turn, point[0]["clientVersion"]) for point in points if point}
        # A batch checks its own point too (D8).
        wrong = [point[1] for point in [own, *points] if point and point[1] and point[1].code == "HISTORY_REPLACED"]
        refusal, failing = (wrong[0], None) if wrong else (None, None)
        for index, (member, point, policy) in enumerate(zip(members, points, policies)):
            if refusal:
                break
            try:
                if point and point[1]:
                    raise point[1]
                judge.command(member["type"], member["payload"], point and by_version[point[0]["clientVersion"]], policy)
            except Refused as refused:
                if refused.code in GONE and envelope.get("ifMissing") == "skip" and self.can_skip(member, members):
                    skipped.append({"index": index, "code": refused.code})
                else:
                    refusal, failing = refused, index
        self.judge(history, turn, answer, judge.draft, judge.touched, refusal)
        if refusal:
            if count > 1 and not wrong:
                self.equal(answer["index"], failing, "index")
            if refusal.listed is not None:
                self.conflicts(history, answer, refusal.listed)
            if refusal.code == "HISTORY_REPLACED":
                history.turns.pop()
                self.equal(answer["resolution"], {"currentVersion": world.version, "hash": world.hashes[-1], "conflicts": []}, "resolution")
            return "refused stale edits" if points[0] else "refused edits"
        self.equal(answer.get("skipped", []), skipped, "skipped")
        if answer["outcome"] != "unchanged":
            self.equal(answer["outcome"], "merged" if judge.is_merged else "applied", "outcome")
        return "stale edits" if points[0] else "edits"

    def can_skip(self, member, members):
        """Whether a member may be left out: what the batch creates itself must be there (H11)."""
        payload = member["payload"]
        name = payload.get("nodeId", payload.get("edgeId"))
        made = [other["payload"].get("id") for other in members if other["type"].startswith("CREATE")]
        made += [node for other in members if other["type"] == "BATCH_UPDATE" for node in other["payload"]["nodes"]]
        return member["type"] != "BATCH_UPDATE" and name not in made

    def conflicts(self, history, answer, listed):
        """The resolution of a conflict names these paths, with both values and the last commit that wrote there (D7)."""
        world, resolution = history.world, answer["resolution"]
        self.equal(resolution["currentVersion"], world.version, "current version")
        parts = lambda path: tuple(path.split("/")[1:])
        said = {((one["entity"], one["id"]), parts(one["path"])): one for one in resolution["conflicts"]}
        self.equal(len(said), len(resolution["conflicts"]), "paths once")
        self.equal(set(said), set(listed), "conflicts")
        everything = Since(world, 0, lambda *_: False)
        for (key, path), (yours, current) in listed.items():
            one = said[key, path]
            self.equal((one["yours"], one["current"]), (yours, current), f"values of {key} {path}")
            version = everything.last_writer(key, path)
            commit = world.commits[version]
            self.equal((one["version"], one["userId"], one["operationId"]), (version, commit.user, commit.operation), f"writer of {key} {path}")
