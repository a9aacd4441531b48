"""Reads what happened on a dao-api server into DuckDB and answers questions.sql. Run again, it goes on where it stopped."""
import json, os, sys, tempfile, time
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen
import duckdb

URL, TOKEN = os.environ.get("DAO_URL", "http://127.0.0.1:3000"), os.environ.get("DAO_TOKEN")
HERE = Path(__file__).parent
BATCH = 5_000  # commits in one transaction
TYPES = """{graphId: 'TEXT', version: 'UBIGINT', hash: 'TEXT', timestamp: 'BIGINT', userId: 'TEXT', commandType: 'TEXT',
  outcome: 'TEXT', events: 'JSON[]'}"""

def ask(path, accept="application/json", **query):
    headers = {"Accept": accept} | ({"Authorization": f"Bearer {TOKEN}"} if TOKEN else {})
    return urlopen(Request(f"{URL}{path}?{urlencode(query)}", headers=headers), timeout=60)

def store(lines, position):
    """A batch and the position behind it are one transaction. A commit may come twice: rule S3."""
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        file.writelines(lines)
        file.flush()
        db.begin()
        if lines:
            db.execute(f"""INSERT OR REPLACE INTO commits SELECT DISTINCT ON (graphId, version) graphId, version, hash,
              epoch_ms(timestamp), userId, commandType, outcome, len(events)
              FROM read_ndjson('{file.name}', columns = {TYPES})""")
        db.execute("DELETE FROM progress")
        db.execute("INSERT INTO progress VALUES (?)", [position])
        db.commit()

def read_commits():
    [(position,)], lines = db.execute("SELECT coalesce(any_value(position), '0') FROM progress").fetchall(), []
    for line in ask("/events", "application/x-ndjson", since=position, follow="false"):
        said = json.loads(line)
        if "error" in said:  # a damaged history: the others go on
            print(f"{said.get('graphId', URL)}: {said['error']['detail']}", file=sys.stderr)
            continue
        position = said["position"]
        lines += [line] if "graphId" in said else []  # else it is a position alone
        if len(lines) == BATCH:
            store(lines, position)
            lines = []
    store(lines, position)

def read_conflicts():
    """The newest come first, so all pages are one transaction. A minute is read again: clocks of servers differ."""
    [(since,)] = db.execute("SELECT coalesce(epoch_ms(max(time)) - 60000, 0) FROM conflicts").fetchall()
    more = {"status": "conflict", "from": max(since, 0), "limit": 1_000}
    db.begin()
    while more:
        page = json.load(ask("/operations", **more))
        for it in page["operations"]:
            row = [it["graphId"], it["operationId"], it["timestamp"], it["userId"], it["commandType"], it["error"]["code"]]
            db.execute("INSERT OR IGNORE INTO conflicts VALUES (?, ?, epoch_ms(?), ?, ?, ?)", row)
        more = more | {"cursor": page["nextCursor"]} if page["nextCursor"] else None
    db.commit()

def count():
    return db.execute("SELECT count(*) FROM commits").fetchall()[0][0]

db = duckdb.connect(sys.argv[1] if len(sys.argv) > 1 else "dao.duckdb")
db.execute((HERE / "tables.sql").read_text())
before = count()
read_commits()
read_conflicts()
print(f"New commits: {count() - before}. In all: {count()}.")
for question in (HERE / "questions.sql").read_text().strip().split("\n\n"):
    title, query = question.split("\n", 1)
    print(f"\n{title[3:]}\n{db.sql(query, params={'week': int(time.time() - 7 * 86_400) * 1_000})}")
