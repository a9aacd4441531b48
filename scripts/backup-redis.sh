#!/usr/bin/env bash
# Backs up a Redis, or every primary of a cluster, while servers write to it: one RDB file each, of one moment.
#
#   REDIS_URL=redis://127.0.0.1:6379 scripts/backup-redis.sh directory
#
# REDIS_URL is that of the servers (redis, rediss, redis-cluster, redis+unix; user and password in it), or REDIS_HOST,
# REDIS_PORT, REDIS_PASSWORD; for TLS also REDIS_TLS_CA, REDIS_TLS_CERT, REDIS_TLS_KEY. The user needs the command SYNC;
# a managed Redis that forbids it has snapshots of its own. Every graph lies on one primary, with its operations and
# its part of the feed: so files of different primaries need not be of the same moment. Nothing is overwritten.
set -euo pipefail
umask 077

fail() {
    echo "backup-redis: $1" >&2
    exit 1
}
[ $# -eq 1 ] || fail "name the directory for the files"
command -v redis-cli >/dev/null || fail "redis-cli is not installed"
directory=$1
mkdir -p "$directory"

# Takes the address apart; the password goes by the environment, where others don't see it.
url="${REDIS_URL:-}"
connect=()
user=""
if [ -n "$url" ]; then
    scheme="${url%%://*}"
    rest="${url#*://}"
    case "$scheme" in
    redis | valkey | redis-cluster) ;;
    rediss | valkeys | rediss-cluster) connect+=(--tls) ;;
    redis+unix) ;;
    *) fail "REDIS_URL: $scheme:// is not known here; name the primary itself by redis://host:port" ;;
    esac
    if [[ "$rest" == *@* ]]; then
        login="${rest%@*}"
        rest="${rest##*@}"
        user="${login%%:*}"
        if [[ "$login" == *:* ]]; then REDISCLI_AUTH="${login#*:}"; else REDISCLI_AUTH="$login" user=""; fi
        printf -v REDISCLI_AUTH '%b' "${REDISCLI_AUTH//%/\\x}"
        export REDISCLI_AUTH
    fi
else
    scheme=redis
    rest="${REDIS_HOST:-127.0.0.1}:${REDIS_PORT:-6379}"
    if [ -n "${REDIS_PASSWORD:-}" ]; then export REDISCLI_AUTH="$REDIS_PASSWORD"; fi
fi
if [ -n "${REDIS_TLS_CA:-}" ]; then connect+=(--cacert "$REDIS_TLS_CA"); fi
if [ -n "${REDIS_TLS_CERT:-}" ]; then connect+=(--cert "$REDIS_TLS_CERT"); fi
if [ -n "${REDIS_TLS_KEY:-}" ]; then connect+=(--key "$REDIS_TLS_KEY"); fi
if [ -n "$user" ]; then connect+=(--user "$user"); fi

# ask HOST:PORT-or-path COMMAND…
ask() {
    local at=$1
    shift
    case "$at" in
    /*) redis-cli -e "${connect[@]+"${connect[@]}"}" -s "$at" "$@" ;;
    *) redis-cli -e "${connect[@]+"${connect[@]}"}" -h "${at%:*}" -p "${at##*:}" "$@" ;;
    esac
}
if [ "$scheme" = redis+unix ]; then
    first="${rest%%\?*}"
else
    first="${rest%%[,/?]*}"
    [[ "$first" == *:* ]] || first="$first:6379"
fi
info="$(ask "$first" info)" || fail "$first does not answer: check REDIS_URL"
grep -q '^redis_version' <<<"$info" || fail "$first does not answer: $info"

date="$(date -u +%Y%m%dT%H%M%SZ)"
primaries=("$first")
if grep -q '^cluster_enabled:1' <<<"$info"; then
    nodes="$(ask "$first" cluster nodes)"
    # Flags are a list: "myself,master", "master,fail". Only who has slots has graphs.
    mapfile -t primaries < <(awk '$3 ~ /master/ && NF > 8 {sub(/@.*/, "", $2); print $2}' <<<"$nodes")
    ! grep -Eq 'master,(fail|noaddr)' <<<"$nodes" || fail "a primary of the cluster is away: its graphs would be missing"
    [ ${#primaries[@]} -gt 0 ] || fail "the cluster at $first has no primaries with slots"
    printf '%s\n' "$nodes" >"$directory/$date-nodes.txt"
elif ! grep -q '^role:master' <<<"$info"; then
    echo "backup-redis: $first is a replica: what it has not heard of yet is not in the backup" >&2
fi

for primary in "${primaries[@]}"; do
    name="${primary//[^A-Za-z0-9.]/-}"
    file="$directory/$date-${name#-}.rdb"
    [ ! -e "$file" ] || fail "$file is there already"
    # What is not whole has another name, and goes.
    trap 'rm -f "$file.partial"' EXIT
    said="$(ask "$primary" --rdb "$file.partial" 2>&1)" || fail "$primary: $said"
    # An RDB file begins with its name and ends with a byte FF and a checksum: one that was cut off does not.
    [ "$(head -c 5 "$file.partial")" = REDIS ] || fail "$primary sent no RDB file: $said"
    [ "$(tail -c 9 "$file.partial" | head -c 1 | od -An -tx1 | tr -d ' ')" = ff ] || fail "$primary sent half a file"
    if command -v redis-check-rdb >/dev/null; then
        checked="$(redis-check-rdb "$file.partial" 2>&1)" || fail "$primary: $(grep -A 1 ERROR <<<"$checked" | tail -n 1)"
    fi
    sync "$file.partial"
    mv -n "$file.partial" "$file"
    sync "$directory"
    echo "$file: $(wc -c <"$file") bytes of $primary"
done
