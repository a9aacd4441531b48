"""Three people who edit, save documents, undo, restore, label, copy, trash and purge graphs of a real server, against a
model of histories.

They take random turns (rules C3, D1 to D8, DS2 to DS13, G4, G5, H11, L7 to L14, U1 to U12). Many edits and saves are
stale. After every turn the graph, the answer, the events of the commit and the labels must be what the models say:
history_rules.py, history_stale.py, document_rules.py, history_undo.py. A disagreement prints the seed and the last turns.
Only times and the winners of races differ between runs of one seed.

    python3 history_model.py http://127.0.0.1:3000 SEED STEPS
"""

import sys
import threading

from history_game import LABELS, Turn
from history_rules import GRAPH, VIEWPORT, Entity, Refused, World, in_order, same
from history_editing import Editing
from history_lives import Lives
from history_saving import Saving
from history_undoing import Undoing
from model_server import Server

GRAPHS = 3


class People(Editing, Undoing, Saving, Lives):
    """What they do beside editing, undoing and restoring."""

    # --- Labels.

    def play_label(self, history, user):
        rng, world = self.rng, history.world
        name = rng.choice(LABELS)
        known = world.labels.get(name)
        payload = {"name": name}
        if rng.random() < 0.8:
            payload["version"] = rng.choice([None, *[rng.randint(0, world.version + (rng.random() < 0.1)) for _ in range(5)]])
        if rng.random() < 0.3:
            payload["note"] = rng.choice(["good", "better"])
        if rng.random() < 0.4:
            payload["expect"] = known and known["version"] if rng.random() < 0.7 else rng.choice([None, 1])
        turn, answer = self.send(history, user, "LABEL_VERSION", payload)
        self.label(history, turn, answer, payload)
        return "labels"

    def label(self, history, turn, answer, payload):
        world, name = history.world, payload["name"]
        known = world.labels.get(name)
        version, refusal = payload.get("version", world.version), None
        if "expect" in payload and payload["expect"] != (known and known["version"]):
            refusal = Refused(409, "LABEL_MOVED")
        elif version is not None and not 0 < version <= world.version:
            refusal = Refused(404, "VERSION_NOT_FOUND")
        wanted = None
        if version is not None and not refusal:
            wanted = {"version": version, "hash": world.hashes[version], "by": turn.user}
            wanted |= {"note": payload["note"]} if "note" in payload else {}
        stands = {k: v for k, v in known.items() if k not in ("at", "by")} if known else None
        is_set = stands == (wanted and {k: v for k, v in wanted.items() if k != "by"})
        self.judge(history, turn, answer, dict(world.head), {} if is_set else {"label": False}, refusal)
        if refusal and refusal.code == "LABEL_MOVED":
            conflicts = [(c["path"], c["current"]) for c in answer["resolution"]["conflicts"]]
            self.equal(conflicts, [(f"/labels/{name}", known["version"])] if known else [], "conflicts")
        if not refusal and not is_set:
            if wanted:
                world.labels[name] = {**wanted, "at": world.commits[-1].time}
            else:
                del world.labels[name]
        self.look_at_labels(history)

    def look_at_labels(self, history):
        status, answer = self.get(history, "/labels")
        self.equal(answer["labels"], history.world.labels, "labels")

    def play_race(self, history, user):
        """Two set a label at once, each expecting what it names now: one of them wins."""
        world, name = history.world, self.rng.choice(LABELS)
        if not world.version:
            return "nothing"
        known = world.labels.get(name)
        users = [user, next(other for other in ("ada", "bob", "cas") if other != user)]
        others = [version for version in range(1, world.version + 1) if not known or version != known["version"]]
        if not others:
            return "nothing"
        payloads = [{"name": name, "version": self.rng.choice(others), "note": self.id(), "expect": known and known["version"]} for _ in users]
        answers = {}

        def one(who, payload):
            body = {"operationId": operations[who], "type": "LABEL_VERSION", "payload": payload, "clientId": who + "-1"}
            status, _, answer = Server(self.url).ask("POST", history.path + "/command", body, {"x-user-id": who})
            answers[who] = Turn("/command", body, who, operations[who], answer.get("version", 1), status, answer.get("outcome")), answer

        operations = {who: self.id() for who in users}
        threads = [threading.Thread(target=one, args=race) for race in zip(users, payloads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.log.append(f"{history.name}: race {payloads} -> {answers}")
        winners = [who for who in users if answers[who][0].status == 200]
        self.equal(len(winners), 1, f"winners of {answers}")
        for who in sorted(users, key=lambda who: who not in winners):
            self.label(history, *answers[who], payloads[users.index(who)])
        return "races"

    # --- Copies, the trash, repeats, and reads of old versions.

    def play_copy(self, history, user):
        rng, world = self.rng, history.world
        if not world.version or rng.random() < 0.5:
            return "nothing"
        name, at = self.name_of_version(history)
        with_history = rng.random() < 0.6
        payload = {"from": {"graphId": history.name, "at": str(name), "history": with_history}}
        if rng.random() < 0.3:
            payload["attributes"] = {"title": "Copy"}
        other = self.new_history(World())
        turn, answer = self.send(other, user, "CREATE_GRAPH", payload)
        if isinstance(at, Refused):
            self.judge(other, turn, answer, None, None, at)
            return "refused copies"
        then = world.states[at]
        attributes = {k: v for k, v in then[GRAPH].content.items() if k != "settings"} | payload.get("attributes", {})
        if with_history:
            other.world = world.fork(at)
            other.turns = [turn for turn in history.turns if turn.outcome != "unchanged" and turn.status == 200 and turn.version <= at]
            other.copied = {turn.operation for turn in other.turns}
            draft = {**other.world.head, GRAPH: other.world.head[GRAPH]._replace(content=attributes)}
            self.judge(other, turn, answer, draft, {GRAPH: False})
            _, _, source = self.server.ask("GET", f"{history.path}/changes?since=0&limit=10000")
            _, _, copied = self.server.ask("GET", f"{other.path}/changes?since=0&limit=10000")
            for one, two in zip(source["changes"][:at], copied["changes"]):
                self.equal({**two, "graphId": one["graphId"]}, one, "copied commit")
        else:
            draft = {GRAPH: Entity(attributes, 0, 0, 1), VIEWPORT: then[VIEWPORT]}
            for kind in ("node", "edge"):
                for key in in_order(then, kind):
                    draft[key] = other.world.new(then[key].content)
            is_moved = not same(draft[VIEWPORT].content, other.world.head[VIEWPORT].content)
            self.judge(other, turn, answer, draft, {key: False for key in draft if key != VIEWPORT or is_moved})
        self.equal(self.get(other, "")[1]["forkedFrom"], {"graphId": history.name, "version": at, "hash": world.hashes[at]}, "fork")
        self.look_at_labels(other)
        self.histories.append(other)
        if len(self.histories) > GRAPHS:
            self.histories.pop(rng.randrange(len(self.histories) - 1))
        return "copies"

    def play_trash(self, history, user):
        world = history.world
        if not world.version or self.rng.random() < 0.5:
            return "nothing"
        turn, answer = self.send(history, user, "DELETE_GRAPH", {"reason": "tidy"})
        self.equal((turn.status, answer.get("version")), (200, world.version + 1), "trashed")
        self.commit(history, turn, answer, world.head, {})
        history.turns.append(turn)
        status, _, state = self.server.ask("GET", history.path + "/state?trashed=include")
        self.compare(history, state, world.version)
        again, answer = self.send(history, user, "DELETE_GRAPH", {})
        self.equal((again.status, answer.get("outcome")), (200, "unchanged"), "trashed twice")
        history.turns.append(again)
        label = "?at=" + self.rng.choice(LABELS)
        for path in ("/state", "/nodes", "/document", "/viewport", "/state" + label):
            status, answer = self.get(history, path)
            self.equal((status, answer["code"]), (410, "GRAPH_TRASHED"), path)
        kind, payload = self.edit(world)
        refused, answer = self.send(history, user, kind, payload)
        self.equal((refused.status, answer["code"]), (410, "GRAPH_TRASHED"), kind)
        undo = {"operations": [{"operationId": turn.operation, "version": turn.version}]}
        self.equal(self.send(history, user, "UNDO", undo)[0].status, 410, "undo in the trash")
        self.look_at_labels(history)
        turn, answer = self.send(history, user, "RECOVER_GRAPH", {})
        self.judge(history, turn, answer, dict(world.head), {"trash": False})
        turn, answer = self.send(history, user, "RECOVER_GRAPH", {})
        self.judge(history, turn, answer, dict(world.head), {})
        # The refusal was not remembered: the same operation is judged now.
        self.judge_anew(history, user, kind, payload, refused.operation)
        return "trash"

    def play_again(self, history, user):
        """A repeated operation is answered as the first time (C3)."""
        if not history.turns:
            return "nothing"
        turn = self.rng.choice(history.turns[-20:])
        if turn.operation in history.copied:
            # The ids of copied operations are free in the copy (L7).
            history.copied.remove(turn.operation)
            history.turns.remove(turn)
            viewport = {"x": self.rng.randint(3, 9), "y": 0, "zoom": 1}
            draft = {**history.world.head}
            draft[VIEWPORT] = draft[VIEWPORT]._replace(content=viewport)
            other, answer = self.send(history, user, "SET_VIEWPORT", viewport, turn.operation)
            is_set = same(history.world.head[VIEWPORT].content, viewport)
            self.judge(history, other, answer, draft, {} if is_set else {VIEWPORT: False})
            return "free ids"
        self.repeat(history, turn)
        other, answer = self.send(history, turn.user, "SET_VIEWPORT", {"x": 77, "y": 7, "zoom": 7}, turn.operation)
        self.equal((other.status, answer.get("code")), (422, "OPERATION_ID_REUSED"), "id used twice")
        self.look(history)
        return "repeats"

    def play_operations(self, history, user):
        """What was undone is shown as such (U12)."""
        world = history.world
        status, answer = self.get(history, "/operations?order=asc&status=completed&limit=1000")
        undone_by = {operation: commit.operation for commit in world.commits for operation in commit.undoes}
        ids = [commit.operation for commit in world.commits]
        self.equal(len(answer["operations"]), world.version, "operations")
        row = self.get(history, "")[1]
        counts = [sum(key[0] == kind for key in world.head) for kind in ("node", "edge")]
        self.equal([row["nodes"], row["edges"], row["contentVersion"]], [*counts, world.content_version()], "row")
        for commit, said in zip(world.commits[1:], answer["operations"]):
            self.equal((said["operationId"], said["userId"], said["commandType"]), (commit.operation, commit.user, commit.kind), "operation")
            self.equal(set(said.get("undoes", ())), set(commit.undoes), "undoes")
            if ids.count(commit.operation) == 1:
                last = undone_by.get(commit.operation)
                self.equal(said.get("undoneBy", []), [last] if last else [], f"undoneBy of {said}")
        return "operations"

    def play_read(self, history, user):
        world = history.world
        name, version = self.name_of_version(history)
        status, state = self.get(history, f"/state?at={name}")
        self.log.append(f"{history.name}: reads at {name}, which is {version}")
        if isinstance(version, Refused):
            self.equal((status, state.get("code")), (version.status, version.code), "read")
            return "refused reads"
        self.compare(history, state, version)
        nodes, edges = (self.get(history, f"/{kind}?at={name}")[1][kind] for kind in ("nodes", "edges"))
        self.equal((nodes, edges), (state["nodes"], state["edges"]), "nodes and edges")
        other, until = self.name_of_version(history)
        status, diff = self.get(history, f"/diff?from={name}&to={other}")
        if isinstance(until, Refused):
            self.equal((status, diff.get("code")), (until.status, until.code), "diff")
            return "refused reads"
        before, after = world.states[version], world.states[until]
        for kind in ("node", "edge"):
            keys = {key for key in {*before, *after} if key[0] == kind}
            said = diff[kind + "s"]
            self.equal({e["id"] for e in said["added"]}, {k[1] for k in keys if k not in before}, "added")
            self.equal({e["id"] for e in said["removed"]}, {k[1] for k in keys if k not in after}, "removed")
            expected = {}
            for key in keys & before.keys() & after.keys():
                changes = self.deepest(before[key].content, after[key].content)
                if changes:
                    expected[key[1]] = changes
            found = {e["id"]: {c["path"]: (c["before"], c["after"]) for c in e["changes"]} for e in said["changed"]}
            self.equal(found, expected, "changed")
        return "reads"

    def deepest(self, before, after, path=""):
        """The differences as A3 has them."""
        if isinstance(before, dict) and isinstance(after, dict) and path != "/position":
            both = [self.deepest(before.get(key), after.get(key), f"{path}/{key}") for key in {*before, *after}]
            return {path: values for one in both for path, values in one.items()}
        return {} if same(before, after) else {path: (before, after)}

    # --- Turns.

    def step(self):
        rng = self.rng
        play = rng.choice([self.play_edit] * 20 + [self.play_undo] * 12 + [self.play_save] * 10 + [self.play_restore] * 4
            + [self.play_label] * 3 + [self.play_read] * 4 + [self.play_again] * 2 + [self.play_old_life] * 2
            + [self.play_operations, self.play_copy, self.play_race, self.play_trash, self.play_read_only, self.play_purge])
        history = rng.choice(self.histories)
        if history.world.version == 0 and play not in (self.play_save, self.play_old_life):
            play = self.play_edit
        did = play(history, rng.choice(["ada", "bob", "cas"]))
        self.count[did] = self.count.get(did, 0) + 1


def main(url, seed, steps):
    game = People(url, seed)
    for step in range(steps):
        try:
            game.step()
        except Exception:
            print(f"seed {seed}, step {step}: the server and the model disagree. The last turns:")
            print("\n".join(game.log[-40:]))
            raise
    for history in game.histories:
        status, verified = game.get(history, "/verify")
        assert verified["ok"] and verified["hash"] == history.world.hashes[-1], verified
    print(f"seed {seed}: {steps} turns as the model says; {game.count}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
