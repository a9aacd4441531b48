#!/usr/bin/env bash
# Starts a server with an embedded store and the example editor in front of it, and prints the address to open.
#
#   DAO_API_BIN  the server's program; without it, cargo builds one
#   PORT         the server's port, 3000 by default
#   PAGE_PORT    the page's port, 5173 by default
#   DATA_DIR     where the graphs are kept, target/example-data by default
set -euo pipefail
cd "$(dirname "$0")/.."

port="${PORT:-3000}"
page="${PAGE_PORT:-5173}"
data="${DATA_DIR:-target/example-data}"
binary="${DAO_API_BIN:-}"
if [ -z "$binary" ]; then
    cargo build --profile quick --locked
    binary=target/quick/dao-api
fi
# The page uses the SDK's sources, which import what the workspace installs.
./scripts/install-node.sh
PATH="$(./scripts/install-node.sh --path):$PATH"

children=()
stop() {
    trap - EXIT INT TERM
    for child in "${children[@]+"${children[@]}"}"; do kill "$child" 2>/dev/null || true; done
    wait
}
trap stop EXIT INT TERM

mkdir -p "$data"
PORT="$port" DATA_DIR="$data" LOG_LEVEL="${LOG_LEVEL:-warn}" "$binary" &
children+=($!)
until PORT="$port" "$binary" healthcheck >/dev/null 2>&1; do
    kill -0 "${children[0]}" 2>/dev/null || exit 1
    sleep 0.1
done
# Vite itself, not npm around it: npm passes no signal on.
(cd examples/react-flow &&
    DAO_URL="http://127.0.0.1:$port" exec node node_modules/vite/bin/vite.js --host 127.0.0.1 --port "$page" --logLevel warn) &
children+=($!)

echo
echo "  Open this in two windows: http://127.0.0.1:$page/"
echo "  Each window is somebody else; ?user=Ada says who, ?graph=demo says where. Ctrl-C ends it."
echo
wait -n
