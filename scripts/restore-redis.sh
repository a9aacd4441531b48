#!/usr/bin/env bash
# Makes the data directory of a Redis from a file of scripts/backup-redis.sh.
#
#   scripts/restore-redis.sh file.rdb directory
#
# The directory may not hold data, and no Redis may be using it (a cluster's nodes.conf may lie in it). A Redis with
# `appendonly yes` does not look at dump.rdb: it would start empty. So a Redis of its own, on a socket that nobody
# knows, loads the file and writes the append-only files. Then start the real one on this directory; it needs
# the default appenddirname and appendfilename, or give them after the directory: --appenddirname name …
set -euo pipefail
umask 077

fail() {
    echo "restore-redis: $1" >&2
    exit 1
}
[ $# -ge 2 ] || fail "name the file and the directory"
for needed in redis-server redis-cli; do
    command -v "$needed" >/dev/null || fail "$needed is not installed"
done
file=$1
directory=$2
shift 2
[ -f "$file" ] || fail "there is no $file"
mkdir -p "$directory"
directory="$(cd "$directory" && pwd)"
for left in "$directory"/*.rdb "$directory"/*.aof "$directory"/*/*.aof; do
    [ ! -e "$left" ] || fail "$left is there already, and nothing is overwritten: move it away"
done
if command -v redis-check-rdb >/dev/null; then
    checked="$(redis-check-rdb "$file" 2>&1)" || fail "$file is damaged: $(grep -A 1 ERROR <<<"$checked" | tail -n 1)"
fi

work="$(mktemp -d)"
socket="$work/redis.sock"
server=""
finish() {
    if [ -n "$server" ]; then kill -9 "$server" 2>/dev/null || true; fi
    rm -rf "$work" "$directory/restoring.rdb"
}
trap finish EXIT
cp "$file" "$directory/restoring.rdb"
redis-server --port 0 --unixsocket "$socket" --dir "$directory" --dbfilename restoring.rdb --appendonly no --save '' \
    "$@" >"$work/log" 2>&1 &
server=$!
ask() { redis-cli -e -s "$socket" "$@" 2>/dev/null; }
until [ "$(ask ping)" = PONG ]; do
    kill -0 "$server" 2>/dev/null || fail "the file can't be loaded: $(tail -n 3 "$work/log")"
    sleep 0.1
done
ask config set appendonly yes >/dev/null || fail "the append-only files can't be begun: $(tail -n 3 "$work/log")"
while info="$(ask info persistence)" && grep -Eq '^aof_rewrite_(in_progress|scheduled):1' <<<"$info"; do
    sleep 0.1
done
grep -q '^aof_last_bgrewrite_status:ok' <<<"$info" ||
    fail "the append-only files can't be written: $(tail -n 3 "$work/log")"
keys="$(ask info keyspace | grep -c '^db' || true)"
format="$(ask hget dao:meta format || true)"
ask shutdown nosave >/dev/null || true
wait "$server" || fail "the append-only files could not be closed: $(tail -n 3 "$work/log")"
server=""
sync "$directory"
[ -n "$format" ] || echo "restore-redis: there is no dao:meta in database 0: another node's part, or another database" >&2
[ "$keys" -gt 0 ] || echo "restore-redis: the file holds no keys" >&2
echo "$directory: restored from $file; start Redis on it with appendonly yes, then the servers"
