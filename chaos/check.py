#!/usr/bin/env python3
# Long because: it is one file, so that anybody can copy it and run it.
"""Checks a history of what clients of dao-api saw against the log that was left in the end.

    python3 check.py history.ndjson     checks it and prints a table; exit code 1 if a rule is broken
    python3 check.py --self-test        plants faults in a sound history: all must be found

Python's standard library is all it needs, and nothing of the project. Every answer carries a version and a hash, so the
order of commits is known and nothing has to be searched for: checking is sorting.

The history is lines of JSON, each with a `kind`; times are nanoseconds of one monotonic clock, that of the recorder.

    run        seed, profile, mayLose: whether a fail-over may lose what was acknowledged; mayTakeBack: whether it may
               take back what was shown and not acknowledged yet (rule O5); both have to be told
    sent       op, graph, at: an operation was sent for the first time
    answered   op, graph, at, result: acknowledged (version, hash, changed) or refused (code)
    read       graph, begin, at, version, hash
    sync       follower, graph, at, status, version, hash, from: the point that was given, or null
    frame      follower, graph, at, version, hash, op
    event      reader, graph, version, hash        a commit of one reader of all graphs
    delivery   subscription, graph, version, hash
    fault      name, begin, at, bite: what it changed
    log        graph, commits: [version, hash, SHA-256 of the body, op, events]
    state      graph, version, hash, nodes
    rows       graph, version, hash, nodes: ids
    parked     subscription, count
"""

import bisect
import collections
import hashlib
import json
import sys

EMPTY = "0" * 64


class History:
    """The lines by kind, in order, and the final logs."""

    def __init__(self, lines):
        self.by_kind = collections.defaultdict(list)
        for line in lines:
            self.by_kind[line["kind"]].append(line)
        self.run = self.by_kind["run"][0]
        self.logs = {line["graph"]: [Commit(*commit) for commit in line["commits"]] for line in self.by_kind["log"]}

    def __getitem__(self, kind):
        return self.by_kind[kind]

    def has(self, line):
        """Whether the version that a line tells of is the one in the log."""
        return self.hash_at(line["graph"], line["version"]) == line["hash"]

    def hash_at(self, graph, version):
        if version == 0:
            return EMPTY
        commits = self.logs.get(graph, [])
        return commits[version - 1].hash if 0 < version <= len(commits) else None


Commit = collections.namedtuple("Commit", "version hash body op events")


class Report:
    """What was found, and the figures of the table."""

    def __init__(self):
        self.broken = []
        self.figures = collections.Counter()

    def fail(self, rule, text):
        self.broken.append((rule, text))

    def ok(self, *rules):
        return not any(rule in rules for rule, _ in self.broken)


def check(history):
    report = Report()
    lost = check_operations(history, report)
    check_logs(history, report)
    check_real_time(history, report, lost)
    check_followers(history, report, lost)
    check_readers(history, report, lost)
    check_rows(history, report)
    return report


def check_operations(history, report):
    """C3, V6: acknowledged and in the log are the same, once, with that version and hash. Returns the graphs whose
    histories lost something."""
    where = collections.defaultdict(list)
    for graph, commits in history.logs.items():
        for commit in commits:
            where[commit.op].append((graph, commit.version, commit.hash))
    sent = {line["op"]: line for line in history["sent"]}
    answers = collections.defaultdict(list)
    for line in history["answered"]:
        answers[line["op"]].append(line)
    lost_graphs = set()
    for op, found in where.items():
        if len(found) > 1:
            report.fail("C3", f"operation {op} is in the log {len(found)} times: {found[:3]}")
        if op not in sent:
            report.fail("C3", f"the log has operation {op}, which nobody sent")
    for op, lines in answers.items():
        outcomes = {(line["result"], line.get("version"), line.get("hash")) for line in lines if line["result"] != "refused"}
        codes = {line["code"] for line in lines if line["result"] == "refused"}
        report.figures["acknowledged" if outcomes else "refused"] += 1
        graph = lines[0]["graph"]
        in_log = [place for place in where.get(op, []) if place[0] == graph]
        acknowledged = [line for line in lines if line["result"] == "acknowledged" and line["changed"]]
        if codes and in_log:
            report.fail("C3", f"operation {op} was refused ({sorted(codes)}) and is in the log")
        gone = [line for line in acknowledged if history.hash_at(graph, line["version"]) != line["hash"]]
        if gone and history.run["mayLose"]:
            report.figures["lost"] += not in_log
            lost_graphs.add(graph)
            continue
        if len(outcomes) > 1 or (outcomes and codes):
            report.fail("C3", f"operation {op} was answered in more than one way: {sorted(map(str, outcomes | codes))}")
        for line in acknowledged:
            if not in_log:
                report.fail("V6", f"operation {op} was acknowledged as version {line['version']} of {graph} and is not in the log")
            elif in_log[0][1:] != (line["version"], line["hash"]):
                report.fail("C3", f"operation {op} was acknowledged as version {line['version']} and is {in_log[0]}")
        for line in lines:
            if line["result"] == "acknowledged" and not line["changed"] and in_log:
                report.fail("C1", f"operation {op} was answered as unchanged and is in the log")
    report.figures["sent"] = len(sent)
    report.figures["unsettled"] = sum(1 for op in sent if op not in answers)
    if report.figures["unsettled"]:
        report.fail("C3", f"{report.figures['unsettled']} operations were never settled")
    return lost_graphs


def check_logs(history, report):
    """V1, V3, A5: no gap, every link holds, the fold is the state."""
    states = {line["graph"]: line for line in history["state"]}
    for graph, commits in history.logs.items():
        last, nodes = bytes(32), {}
        for number, commit in enumerate(commits, 1):
            if commit.version != number:
                report.fail("V1", f"{graph}: version {commit.version} stands where {number} should")
                break
            last = hashlib.sha256(last + bytes.fromhex(commit.body)).digest()
            if commit.hash != last.hex():
                report.fail("V3", f"{graph}: the hash of version {number} does not follow")
                break
            for event in commit.events:
                fold(nodes, event)
        report.figures["commits"] += len(commits)
        state = states.get(graph)
        if state is None:
            continue
        head = commits[-1].hash if commits else EMPTY
        if (state["version"], state["hash"]) != (len(commits), head):
            report.fail("A5", f"{graph}: the state is version {state['version']}, the log has {len(commits)}")
        elif {node["id"]: essence(node) for node in state["nodes"]} != {k: essence(v) for k, v in nodes.items()}:
            report.fail("A5", f"{graph}: the state is not the fold of the log")


def essence(node):
    """A node without what the server adds."""
    return {key: value for key, value in node.items() if key not in ("version", "createdAt", "updatedAt")}


def fold(nodes, event):
    kind = event["type"]
    if kind == "NodeCreated" or kind == "NodeReplaced":
        nodes[event["node"]["id"]] = event["node"]
    elif kind == "NodeMoved":
        nodes[event["nodeId"]] = {**nodes[event["nodeId"]], "position": event["position"]}
    elif kind == "NodeUpdated":
        nodes[event["nodeId"]] = merge(nodes[event["nodeId"]], event["patch"])
    elif kind == "NodeDeleted":
        del nodes[event["nodeId"]]


def merge(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def check_real_time(history, report, lost):
    """C4, H3: what began after an answer has the higher version; a read is not older than what was answered before."""
    sent = {line["op"]: line["at"] for line in history["sent"]}
    # By graph: (time, 0 for a beginning that must see what was answered before, 1 for an answer, …).
    moments = collections.defaultdict(list)
    for line in history["answered"]:
        if line["result"] != "acknowledged" or not line["changed"] or line.get("duplicate"):
            continue
        moments[line["graph"]].append((sent[line["op"]], 0, line["version"], "operation " + line["op"]))
        moments[line["graph"]].append((line["at"], 1, line["version"], ""))
    for line in history["read"]:
        if history.run["mayTakeBack"] and not history.has(line):
            report.figures["taken back"] += 1
            continue
        moments[line["graph"]].append((line["begin"], 2, line["version"], "a read"))
        moments[line["graph"]].append((line["at"], 1, line["version"], ""))
    for graph, of_graph in moments.items():
        if graph in lost:
            continue
        known = 0
        for _time, what, version, name in sorted(of_graph):
            if what == 1:
                known = max(known, version)
                continue
            report.figures["compared"] += 1
            if what == 0 and version <= known:
                report.fail("C4", f"{graph}: {name} began after version {known} was answered and became {version}")
            if what == 2 and version < known:
                report.fail("H3", f"{graph}: {name} began after version {known} was answered and showed {version}")
    for line in history["read"]:
        if line["graph"] not in lost and not history.has(line) and not history.run["mayTakeBack"]:
            report.fail("H3", f"{line['graph']}: a read showed a version {line['version']} that is not in the log")


def check_followers(history, report, lost):
    """W4, V4: each frame is the next, and what a follower has in the end is the log; a history that lost something is told."""
    lines = sorted(history["sync"] + history["frame"], key=lambda line: line["at"])
    point, seen_wrong = {}, {}
    for line in lines:
        who, graph = (line["follower"], line["graph"]), line["graph"]
        is_of_log = history.has(line)
        if line["kind"] == "sync":
            report.figures["syncs"] += 1
            before = point.get(who)
            if line["status"] == "snapshot":
                point[who], seen_wrong[who] = (line["version"], line["hash"]), not is_of_log
                if before and history.hash_at(graph, before[0]) != before[1]:
                    report.figures["resets"] += 1
                elif before and line["version"] < before[0]:
                    report.fail("W4", f"{who}: a snapshot of version {line['version']} after {before[0]} was shown")
            elif before is None or (line["status"] == "in_sync" and (line["version"], line["hash"]) != before):
                report.fail("W2", f"{who}: {line['status']} at version {line['version']}, while it holds {before}")
            continue
        report.figures["frames"] += 1
        have = point.get(who, (0, EMPTY))
        if line["version"] != have[0] + 1:
            kind = "skipped" if line["version"] > have[0] + 1 else "repeated or out of order"
            report.fail("W4", f"{who}: version {line['version']} after {have[0]}: {kind}")
        point[who] = (line["version"], line["hash"])
        seen_wrong[who] = seen_wrong.get(who, False) or not is_of_log
        report.figures["taken back"] += not is_of_log
        if not is_of_log and not history.run["mayTakeBack"]:
            report.fail("W4", f"{who}: version {line['version']} was shown and is not in the log")
    for who, (version, shown) in point.items():
        commits = history.logs.get(who[1], [])
        if (version, shown) != (len(commits), commits[-1].hash if commits else EMPTY):
            report.fail("V4", f"{who}: holds version {version} in the end, the log has {len(commits)}, and was not told")
        elif seen_wrong.get(who):
            report.fail("V4", f"{who}: was shown commits that were lost, and was not told")
    told = {graph for _, graph in point}
    for graph in lost - told:
        report.fail("V4", f"{graph}: lost commits, and nobody followed who could be told")


def check_readers(history, report, lost):
    """S3, S6, S7: readers of all graphs and subscriptions get every commit, each graph's in order."""
    for kind, name, rule in [("event", "reader", "S3"), ("delivery", "subscription", "S7")]:
        seen, last = collections.defaultdict(set), {}
        for line in history[kind]:
            who, graph, version = line[name], line["graph"], line["version"]
            if graph in lost or (history.run["mayTakeBack"] and not history.has(line)):
                continue
            report.figures[kind + "s"] += 1
            if (graph, version) in seen[who]:
                report.figures[kind + " repeats"] += 1
                continue
            if version != last.get((who, graph), 0) + 1:
                report.fail(rule, f"{name} {who}: {graph} version {version} after {last.get((who, graph), 0)}")
            if not history.has(line):
                report.fail(rule, f"{name} {who}: {graph} version {version} is not the one in the log")
            seen[who].add((graph, version))
            last[who, graph] = version
        for who, versions in seen.items():
            for graph, commits in history.logs.items():
                missing = [c.version for c in commits if (graph, c.version) not in versions]
                if missing and graph not in lost:
                    report.fail(rule, f"{name} {who}: {len(missing)} commits of {graph} never came, from {missing[0]} on")
    for line in history["parked"]:
        if line["count"]:
            report.fail("S8", f"{line['count']} deliveries of {line['subscription']} are parked")


def check_rows(history, report):
    """Rows of projections are the fold of the log."""
    nodes_of = {line["graph"]: {node["id"] for node in line["nodes"]} for line in history["state"]}
    for line in history["rows"]:
        report.figures["rows"] += 1
        graph = line["graph"]
        if history.hash_at(graph, line["version"]) != line["hash"] or line["version"] != len(history.logs.get(graph, [])):
            report.fail("rows", f"{graph}: the rows are at version {line['version']}, the log has {len(history.logs.get(graph, []))}")
        elif set(line["nodes"]) != nodes_of.get(graph):
            report.fail("rows", f"{graph}: the rows have other nodes than the state")


# --- the table ---------------------------------------------------------------------------------


def table(history, report):
    run, n = history.run, report.figures
    yes = lambda *rules: ("ok" if report.ok(*rules) else "BROKEN") + "  " + " ".join(rules)
    faults = collections.defaultdict(list)
    for fault in history["fault"]:
        faults[fault["name"]].append(fault)
    stalls = stalls_by_fault(history)
    rows = [
        f"chaos  seed {run['seed']}  {run['title']}",
        "faults    " + (" · ".join(f"{name} {len(all)}" for name, all in sorted(faults.items())) or "none"),
    ]
    for name, (one, everybody) in sorted(stalls.items()):
        rows.append(f"          longest without an acknowledgement, {name}: one graph {one:.1f} s, all graphs {everybody:.1f} s")
    idle = [name for name, all in faults.items() if not all_bit(all)]
    if idle:
        report.fail("X4", f"faults that changed nothing: {', '.join(idle)}")
    rows += [
        f"operations  sent {n['sent']:,}   acknowledged {n['acknowledged']:,}   refused {n['refused']:,}   never settled {n['unsettled']:,}",
        f"exactly once   acknowledged and lost {n['lost'] + count(report, 'V6')}   doubled or changed {count(report, 'C3') + count(report, 'C1')}".ljust(88) + yes("C3", "V6", "C1"),
        f"one history    {len(history.logs)} graphs, {n['commits']:,} commits, gaps {count(report, 'V1')}, broken links {count(report, 'V3')}, bad folds {count(report, 'A5')}".ljust(88) + yes("V1", "V3", "A5"),
        f"real time      compared {n['compared']:,}   inversions {count(report, 'C4')}   stale reads {count(report, 'H3')}".ljust(88) + yes("C4", "H3"),
        f"followers      {n['frames']:,} frames, {n['syncs']:,} syncs, {n['taken back']:,} shown and taken back, {n['resets']:,} told so".ljust(88) + yes("W4", "W2", "V4"),
        f"all graphs     {n['events']:,} events, {n['event repeats']:,} repeats (allowed)".ljust(88) + yes("S3"),
        f"subscriptions  {n['deliverys']:,} deliveries, {n['delivery repeats']:,} repeats (allowed)".ljust(88) + yes("S7", "S8"),
        f"rows           {n['rows']:,} graphs".ljust(88) + yes("rows"),
    ]
    return rows


def all_bit(faults):
    return any(fault["bite"] for fault in faults)


def count(report, rule):
    return sum(1 for broken, _ in report.broken if broken == rule)


def stalls_by_fault(history):
    """The longest time without an acknowledgement that each kind of fault saw: of the graph that waited longest, and of
    all graphs together. A wait counts for the last fault that began before it ended."""
    faults = sorted((fault["begin"], fault["name"]) for fault in history["fault"])
    begins = [begin for begin, _ in faults]
    all_times, by_graph = [], collections.defaultdict(list)
    for line in history["answered"]:
        if line["result"] == "acknowledged":
            all_times.append(line["at"])
            by_graph[line["graph"]].append(line["at"])
    stalls = {}
    for which, times in [(1, [sorted(all_times)]), (0, [sorted(times) for times in by_graph.values()])]:
        for of_one in times:
            for before, after in zip(of_one, of_one[1:]):
                last = bisect.bisect_left(begins, after) - 1
                if last >= 0:
                    longest = stalls.setdefault(faults[last][1], [0.0, 0.0])
                    longest[which] = max(longest[which], (after - before) / 1e9)
    return stalls


# --- the checker is proved first ------------------------------------------------------------------


def sound():
    """A small sound history: two graphs, one operation sent twice, one refused, a follower that resumes, a repeat."""
    lines, clock = [{"kind": "run", "seed": 0, "profile": "self-test", "title": "self-test", "mayLose": False, "mayTakeBack": False}], [0]

    def say(kind, **fields):
        clock[0] += 1
        lines.append({"kind": kind, "at": clock[0], **fields})

    logs = {}
    for graph in ("a", "b"):
        last, commits = bytes(32), []
        say("sync", follower="f", graph=graph, status="snapshot", version=0, hash=EMPTY, **{"from": None})
        for version in range(1, 13):
            op = f"{graph}{version}"
            node = f"n{(version - 1) // 3}"
            events = [
                [{"type": "NodeCreated", "node": {"id": node, "position": {"x": 0, "y": 0}}}],
                [{"type": "NodeUpdated", "nodeId": node, "patch": {"data": {"label": op}}}],
                [{"type": "NodeMoved", "nodeId": node, "position": {"x": version, "y": 1}}],
            ][(version - 1) % 3]
            body = hashlib.sha256(op.encode()).digest()
            last = hashlib.sha256(last + body).digest()
            commits.append([version, last.hex(), body.hex(), op, events])
            say("sent", op=op, graph=graph)
            answer = {"op": op, "graph": graph, "result": "acknowledged", "version": version, "hash": last.hex(), "changed": True}
            say("answered", **answer)
            if version == 5:
                say("answered", **answer, duplicate=True)
                held = {"version": version - 1, "hash": commits[-2][1]}
                say("sync", follower="f", graph=graph, status="replay", version=version, hash=last.hex(), **{"from": held})
            say("frame", follower="f", graph=graph, version=version, hash=last.hex(), op=op)
            say("event", reader="r", graph=graph, version=version, hash=last.hex())
            say("delivery", subscription="s", graph=graph, version=version, hash=last.hex())
            begin = clock[0]
            say("read", graph=graph, begin=begin, version=version, hash=last.hex())
        say("event", reader="r", graph=graph, version=12, hash=last.hex())
        say("sent", op=f"{graph}-refused", graph=graph)
        say("answered", op=f"{graph}-refused", graph=graph, result="refused", code="CONFLICT")
        logs[graph] = commits
    for graph, commits in logs.items():
        nodes = {}
        for commit in commits:
            for event in commit[4]:
                fold(nodes, event)
        say("log", graph=graph, commits=commits)
        say("state", graph=graph, version=12, hash=commits[-1][1], nodes=list(nodes.values()))
        say("rows", graph=graph, version=12, hash=commits[-1][1], nodes=list(nodes))
    say("parked", subscription="s", count=0)
    return lines


def find(lines, kind, **fields):
    return next(i for i, line in enumerate(lines) if line["kind"] == kind and all(line.get(k) == v for k, v in fields.items()))


def plant_absent(lines):
    """A commit that was acknowledged is not in the log: the history goes on without it, and its links hold."""
    log = lines[find(lines, "log", graph="a")]
    log["commits"] = log["commits"][:-1]
    kept = log["commits"][-1]
    nodes = {}
    for event in (event for commit in log["commits"] for event in commit[4]):
        fold(nodes, event)
    lines[find(lines, "state", graph="a")].update(version=kept[0], hash=kept[1], nodes=list(nodes.values()))
    lines[find(lines, "rows", graph="a")].update(version=kept[0], hash=kept[1])
    lines[:] = [l for l in lines if not (l["kind"] in ("frame", "event", "delivery", "read") and l["graph"] == "a" and l["version"] == 12)]


def plant_doubled(lines):
    commits = lines[find(lines, "log", graph="a")]["commits"]
    commits[7][3] = commits[6][3]


def plant_two_versions(lines):
    line = dict(lines[find(lines, "answered", op="a5", duplicate=True)])
    line["version"], line["hash"] = 6, lines[find(lines, "answered", op="a6")]["hash"]
    lines.append({**line, "at": lines[-1]["at"] + 1})


def plant_gap(lines):
    del lines[find(lines, "log", graph="a")]["commits"][4]


def plant_swapped(lines):
    """An operation that began after another's answer has the lower version."""
    lines[find(lines, "sent", op="a4")]["at"] = lines[find(lines, "answered", op="a9")]["at"] + 0.5


def plant_stale_read(lines):
    index = find(lines, "read", graph="a", version=9)
    lines[index].update(version=8, hash=lines[find(lines, "answered", op="a8")]["hash"])


def plant_skipped(lines):
    del lines[find(lines, "frame", graph="a", version=7)]


def plant_repeated(lines):
    index = find(lines, "frame", graph="a", version=7)
    lines.insert(index + 1, {**lines[index], "at": lines[index]["at"] + 0.5})


def plant_silent_reset(lines):
    """A follower was shown a commit that is not in the log, and was never told."""
    lines[0].update(mayLose=True, mayTakeBack=True)
    lines[find(lines, "frame", graph="b", version=12)]["hash"] = "f" * 64


def plant_broken_link(lines):
    lines[find(lines, "log", graph="b")]["commits"][5][2] = "0" * 64


def plant_unfolded_row(lines):
    lines[find(lines, "rows", graph="b")]["nodes"].pop()


def plant_bad_fold(lines):
    lines[find(lines, "state", graph="b")]["nodes"][0]["position"] = {"x": 99, "y": 99}


def plant_refused_but_there(lines):
    lines[find(lines, "answered", op="a3")].update(result="refused", code="CONFLICT")


def plant_event_skipped(lines):
    del lines[find(lines, "event", graph="b", version=3)]


def plant_delivery_lost(lines):
    del lines[find(lines, "delivery", graph="b", version=12)]


def plant_unsettled(lines):
    del lines[find(lines, "answered", op="b-refused")]


def plant_stranger(lines):
    del lines[find(lines, "sent", op="a12")]
    lines[:] = [line for line in lines if not (line["kind"] == "answered" and line["op"] == "a12")]


def vary_lost_and_told(lines):
    """Sound: the end of a history was lost, and its follower was told."""
    lines[0].update(mayLose=True, mayTakeBack=True)
    plant_absent(lines)
    kept = lines[find(lines, "log", graph="a")]["commits"][-1]
    at = lines[-1]["at"]
    gone = lines[find(lines, "answered", op="a12")]
    lines.append({"kind": "frame", "at": at + 1, "follower": "f", "graph": "a", "version": 12, "hash": gone["hash"], "op": "a12"})
    told = {"kind": "sync", "at": at + 2, "follower": "f", "graph": "a", "status": "snapshot", "version": kept[0], "hash": kept[1]}
    lines.append({**told, "from": {"version": 12, "hash": gone["hash"]}})


def vary_taken_back(lines):
    """Sound: a commit that nobody acknowledged was shown, taken back, and its follower was told."""
    lines[0]["mayTakeBack"] = True
    last = lines[find(lines, "log", graph="b")]["commits"][-1]
    at = lines[-1]["at"]
    lines.append({"kind": "frame", "at": at + 1, "follower": "f", "graph": "b", "version": 13, "hash": "e" * 64, "op": "b13"})
    lines.append({"kind": "event", "at": at + 2, "reader": "r", "graph": "b", "version": 13, "hash": "e" * 64})
    told = {"kind": "sync", "at": at + 3, "follower": "f", "graph": "b", "status": "snapshot", "version": 12, "hash": last[1]}
    lines.append({**told, "from": {"version": 13, "hash": "e" * 64}})


def vary_unknown_first(lines):
    """Sound: an answer came long after, to a repeat of the operation."""
    index = find(lines, "answered", op="a7")
    lines[index]["at"], lines[index]["duplicate"] = lines[-1]["at"] + 1, True


def vary_shorter_snapshot(lines):
    """Sound: a follower that was behind was given a snapshot in place of the commits."""
    index = find(lines, "frame", graph="b", version=6)
    lines[index] = {**lines[index], "kind": "sync", "status": "snapshot", "from": None}


PLANTED = [value for name, value in list(globals().items()) if name.startswith("plant_")]
VARIED = [value for name, value in list(globals().items()) if name.startswith("vary_")]


def self_test():
    copy = lambda: json.loads(json.dumps(sound()))
    bad = []
    report = check(History(copy()))
    if report.broken:
        bad.append(f"the sound history is said to be broken: {report.broken[:3]}")
    found = 0
    for plant in PLANTED:
        lines = copy()
        plant(lines)
        if check(History(lines)).broken:
            found += 1
        else:
            bad.append(f"not found: {plant.__name__}")
    for vary in VARIED:
        lines = copy()
        vary(lines)
        broken = check(History(lines)).broken
        if broken:
            bad.append(f"sound, and said to be broken: {vary.__name__}: {broken[:2]}")
    print(f"checker        {found} of {len(PLANTED)} planted faults found, {len(VARIED)} sound variations passed")
    for line in bad:
        print("  " + line)
    return not bad


def main(arguments):
    if arguments == ["--self-test"]:
        return 0 if self_test() else 1
    if len(arguments) != 1:
        print(__doc__)
        return 2
    if not self_test():
        print("VOID: the checker does not find what it should")
        return 1
    with open(arguments[0], "rb") as file:
        data = file.read()
    history = History([json.loads(line) for line in data.splitlines() if line.strip()])
    report = check(history)
    for row in table(history, report):
        print(row)
    for rule, text in report.broken[:30]:
        print(f"  {rule}: {text}")
    if len(report.broken) > 30:
        print(f"  … and {len(report.broken) - 30} more")
    verdict = "FAIL" if report.broken else "PASS"
    print(f"{verdict}  {arguments[0]}  {len(data) / 1e6:.1f} MB  sha256 {hashlib.sha256(data).hexdigest()}")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
