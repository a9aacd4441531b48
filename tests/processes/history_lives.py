"""People who make graphs read-only and purge them, and how the answers are judged (L9, L10, L14, C3)."""

from history_game import Game
from history_rules import GRAPH, Refused, World, merge_patch, run, same


class Lives(Game):
    """What they do to a graph as a whole."""

    def settings(self, history, user, settings):
        """Changes the settings of a graph."""
        head = history.world.head
        content = merge_patch(head[GRAPH].content, {"settings": settings})
        draft = {**head, GRAPH: head[GRAPH]._replace(content=content)}
        turn, answer = self.send(history, user, "UPDATE_GRAPH", {"updates": {"settings": settings}})
        self.judge(history, turn, answer, draft, {} if same(content, head[GRAPH].content) else {GRAPH: False})

    def play_read_only(self, history, user):
        """What is read-only refuses commands without remembering it; its trash and its settings still work (L14)."""
        rng, world = self.rng, history.world
        if not world.version or rng.random() < 0.5:
            return "nothing"
        self.settings(history, user, {"readOnly": True})
        kind, payload = self.edit(world)
        while kind == "UPDATE_GRAPH":
            kind, payload = self.edit(world)
        refused, answer = self.send(history, user, kind, payload)
        self.equal((refused.status, answer["code"]), (403, "GRAPH_READ_ONLY"), kind)
        commands = [
            ("UNDO", {"operations": [{"operationId": world.commits[-1].operation, "version": world.version}]}),
            ("RESTORE_VERSION", {"to": rng.randint(0, world.version)}),
            ("LABEL_VERSION", {"name": "draft"}),
            ("SAVE_DOCUMENT", {"nodes": [], "edges": [], "mode": "replace"}),
            ("BATCH", [{"type": kind, "payload": payload}]),
        ]
        for other, body in rng.sample(commands, 2):
            turn, answer = self.send(history, user, other, body)
            self.equal((turn.status, answer["code"]), (403, "GRAPH_READ_ONLY"), other)
        self.repeat(history, rng.choice(history.turns[-20:]))
        self.look(history)
        if rng.random() < 0.3:
            for command in ("DELETE_GRAPH", "RECOVER_GRAPH"):
                turn, answer = self.send(history, user, command, {})
                self.equal(turn.status, 200, command)
                self.commit(history, turn, answer, world.head, {})
                history.turns.append(turn)
        self.settings(history, user, {"readOnly": rng.choice([False, None])})
        # The refusal was not remembered: the same operation is judged now.
        self.judge_anew(history, user, kind, payload, refused.operation)
        return "read-only"

    def judge_anew(self, history, user, kind, payload, operation):
        """Sends an operation whose id is free, and judges it."""
        draft, touched, refusal = dict(history.world.head), {}, None
        try:
            run(history.world, draft, touched, kind, payload)
        except Refused as why:
            refusal = why
        turn, answer = self.send(history, user, kind, payload, operation)
        self.judge(history, turn, answer, draft, touched, refusal)

    def repeat(self, history, turn):
        """A repeated operation is answered as the first time (C3), unless its id is free (L7)."""
        if turn.operation in history.copied:
            return
        self.log.append(f"{history.name}: again {turn}")
        status, _, answer = self.server.ask("POST", history.path + turn.path, turn.body, {"x-user-id": turn.user})
        self.log.append(f"    -> {status} {answer}")
        self.equal((status, answer.get("duplicate")), (turn.status, True), "repeat")
        if status == 200:
            self.equal((answer["version"], answer["outcome"]), (turn.version, turn.outcome), "repeat")

    # --- Purge.

    def purge(self, history, user, operation):
        self.log.append(f"{history.name} at {history.world.version}: {user} purges {operation}")
        status, _, answer = self.server.ask("POST", history.path + "/purge", {"operationId": operation}, {"x-user-id": user})
        self.log.append(f"    -> {status} {answer}")
        return status, answer

    def play_purge(self, history, user):
        """A purged graph is as if it had never been, but for the answer to its purge (L10)."""
        rng, world = self.rng, history.world
        if not world.version or rng.random() < 0.5:
            return "nothing"
        operation = self.id()
        status, answer = self.purge(history, user, operation)
        self.equal((status, answer.get("code")), (409, "NOT_TRASHED"), "purge of what is not in the trash")
        turn, answer = self.send(history, user, "DELETE_GRAPH", {})
        self.equal(turn.status, 200, "trashed")
        status, answer = self.purge(history, user, operation)
        wanted = {"version": turn.version, "hash": answer.get("hash"), "operationId": operation, "accepted": True}
        self.equal((status, {field: answer.get(field) for field in wanted}), (200, wanted), "purge")
        history.purges.append((user, operation, turn.version, answer["hash"]))
        history.past = [*history.past, *(one for one in history.turns if one.operation not in history.copied), turn][-30:]
        history.points.append((turn.version, answer["hash"]))
        history.world, history.turns, history.copied = World(), [], set()
        self.purged_again(history)
        self.equal(self.get(history, "")[0], 404, "row")
        self.look(history)
        self.equal(self.get(history, "/labels")[1]["labels"], {}, "labels")
        self.equal(self.get(history, "/changes?since=0")[1]["changes"], [], "changes")
        old = rng.choice(history.past)
        status, _, answer = self.server.ask("GET", f"/operations/{old.operation}?graphId={history.name}")
        self.equal(status, 404, "operation of the old life")
        turn, answer = self.send(history, user, "RECOVER_GRAPH", {})
        self.equal((turn.status, answer["code"]), (404, "GRAPH_NOT_FOUND"), "recovered after the purge")
        return "purges"

    def purged_again(self, history):
        """The purge of an old life is answered again, and does nothing to the new one."""
        user, operation, version, last = self.rng.choice(history.purges)
        status, answer = self.purge(history, user, operation)
        self.equal((status, answer.get("duplicate"), answer.get("version"), answer.get("hash")), (200, True, version, last), "purge again")

    def play_old_life(self, history, user):
        """What was done before the purge is not there any more: points, operations, purges (V4, C3, D8, U2)."""
        rng, world = self.rng, history.world
        if not history.purges:
            return "nothing"
        way = rng.choice(["purge", "point", "undo", "operation"])
        kind, payload = self.edit(world)
        if way == "purge":
            self.purged_again(history)
            self.look(history)
        elif way == "point":
            version, last = rng.choice(history.points)
            turn, answer = self.send(history, user, kind, payload, clientVersion=version, clientHash=last)
            self.equal((turn.status, answer["code"]), (409, "HISTORY_REPLACED"), "point of the old life")
            status, answer = self.get(history, f"/changes?since={version}&hash={last}")
            self.equal((status, answer.get("reset"), answer["changes"]), (200, True, []), "changes since the old life")
            self.judge_anew(history, user, kind, payload, turn.operation)
        elif way == "undo":
            old = rng.choice(history.past)
            turn, answer = self.send(history, user, "UNDO", {"operations": [{"operationId": old.operation, "version": old.version}]})
            self.judge(history, turn, answer, None, None, Refused(404, "OPERATION_NOT_FOUND"))
        elif history.past:
            # The id of the old life is free, for the same command and for another.
            old = history.past.pop(rng.randrange(len(history.past)))
            self.judge_anew(history, user, kind, payload, old.operation)
        return "old lives"
