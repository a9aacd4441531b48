#!/usr/bin/env bash
# Installs what the tests start beside the server: redis-server, redis-cli, sqlite3, nginx, openssl, and the Python
# library websockets (into target/test-tools, where the system's Python has none).
# Where they are there already it ends at once.
set -euo pipefail

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
command -v redis-cli >/dev/null || missing+=(redis-tools)
command -v sqlite3 >/dev/null || missing+=(sqlite3)
# Programs for administrators are not in the path of everybody.
PATH="$PATH:/usr/sbin"
command -v nginx >/dev/null || missing+=(nginx-light)
command -v openssl >/dev/null || missing+=(openssl)
tools="$(dirname "$0")/../target/test-tools"
has_websockets() {
    python3 -c "import websockets" 2>/dev/null || "$tools/bin/python" -c "import websockets" 2>/dev/null
}
install_websockets() {
    has_websockets && return
    echo "install-test-tools: installing websockets from PyPI"
    { python3 -m venv "$tools" && "$tools/bin/pip" -q install websockets && has_websockets; } || {
        echo "install-test-tools: python3 -m venv, or pip install websockets, failed: install them by hand" >&2
        exit 1
    }
}
command -v python3 >/dev/null || missing+=(python3)
# Debian has what venvs need in a package of its own.
python3 -c "import ensurepip" 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -eq 0 ]; then
    install_websockets
    exit 0
fi

"$(dirname "$0")/apt-install.sh" install-test-tools "${missing[@]}"
command -v redis-server >/dev/null && command -v redis-cli >/dev/null && command -v sqlite3 >/dev/null &&
    command -v nginx >/dev/null && command -v openssl >/dev/null ||
    { echo "install-test-tools: apt-get installed ${missing[*]} and not all are found" >&2 && exit 1; }
install_websockets
