#!/usr/bin/env bash
# The server against its own OpenAPI document: Schemathesis makes requests of the document, right ones and
# wrong ones, and holds every answer against it. No failure, no status, header, media type or body that the
# document does not have. The same seed sends the same requests.
#   SCHEMATHESIS_SEED=7 SCHEMATHESIS_EXAMPLES=200 scripts/schemathesis.sh [the dao-api to run]
set -euo pipefail
cd "$(dirname "$0")/.."

seed="${SCHEMATHESIS_SEED:-20261123}"
# Requests a route, beside those that the document's bounds ask for.
examples="${SCHEMATHESIS_EXAMPLES:-3}"
server="${1:-target/debug/dao-api}"
tools=target/test-tools
[ -x "$server" ] || { echo "schemathesis: there is no $server: cargo build --locked makes it" >&2; exit 1; }

./scripts/install-schemathesis.sh

dir="$(mktemp -d)"
pid=
# Stopped before its directory goes.
finish() {
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
    rm -rf "$dir"
}
trap finish EXIT

# Nothing of the caller's settings is meant for this server.
env -i PATH="$PATH" DATA_DIR="$dir/data" HOST=127.0.0.1 PORT=0 LOG_LEVEL=error "$server" serve \
    >"$dir/out" 2>"$dir/err" &
pid=$!
for _ in $(seq 300); do
    url="$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' "$dir/out")"
    [ -n "$url" ] && break
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
done
[ -n "$url" ] || { echo "schemathesis: the server did not start:" >&2; cat "$dir/err" >&2; exit 1; }

# What the document's examples name is there: graph demo with a, b and a-b, and a subscription.
put() {
    curl -fsS -o "$dir/answer" -X "$1" -H 'content-type: application/json' "$url$2" -d "$3"
}
for graph in demo other; do
    put POST "/graphs/$graph/batch" '{"atomic": true, "operations": [
        {"type": "CREATE_NODE", "payload": {"id": "a", "position": {"x": 0, "y": 0}, "data": {"label": "Start"}}},
        {"type": "CREATE_NODE", "payload": {"id": "b", "parentId": "a"}},
        {"type": "CREATE_EDGE", "payload": {"id": "a-b", "source": "a", "target": "b"}}]}'
    put POST "/graphs/$graph/command" \
        '{"type": "UPDATE_NODE", "payload": {"nodeId": "a", "updates": {"data": {"label": "Begin"}}}}'
done
put PUT /subscriptions/search-index '{}'

checks=no_failure_but_waiting,status_code_conformance,content_type_conformance,response_schema_conformance
checks+=,response_headers_conformance,unsupported_method,allow_header_conformance
checks+=,negative_data_rejection
echo "schemathesis: SCHEMATHESIS_SEED=$seed SCHEMATHESIS_EXAMPLES=$examples"
# /ws is no request and answer: sockets have tests of their own.
export SCHEMATHESIS_HOOKS=hooks PYTHONPATH="$PWD/scripts/schemathesis" NO_COLOR=1
"$tools/bin/schemathesis" --config-file scripts/schemathesis/schemathesis.toml run "$url/openapi.json" \
    --checks "$checks" --exclude-path /ws --phases examples,coverage,fuzzing \
    --seed "$seed" --max-examples "$examples" --generation-database none \
    --request-timeout 20 --continue-on-failure --no-shrink --suppress-health-check all
kill -0 "$pid" || { echo "schemathesis: the server died:" >&2; cat "$dir/err" >&2; exit 1; }
