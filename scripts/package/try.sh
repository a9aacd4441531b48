#!/usr/bin/env bash
# Installs each package into an empty folder, as a person would, and runs the program in it: scripts/package/try.sh OUT
set -euo pipefail
out="$(cd "$1" && pwd)"
work="$(mktemp -d)"
server=""
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
# What a person has who installs it: nothing of this repository, and no settings.
export PATH HOME="$work/home" npm_config_cache="$work/npm" PIP_DISABLE_PIP_VERSION_CHECK=1
mkdir "$HOME"

# Starts the demo with this command, looks at its page, and ends it.
demo() {
    "$@" demo --no-open >"$work/said" &
    server=$!
    for _ in $(seq 300); do
        page="$(sed -n 's/.*\(http:[^ ]*\/console\/demo\).*/\1/p' "$work/said")"
        [ -n "$page" ] && break
        kill -0 "$server" 2>/dev/null || { echo "package: $* demo ended" >&2; exit 1; }
        sleep 0.1
    done
    [ -n "$page" ] || { echo "package: $* demo said no address in 30 s" >&2; exit 1; }
    curl -fsS "$page" | grep -q '<script' || { echo "package: $page is no page" >&2; exit 1; }
    kill "$server"
    wait "$server" || true
    server=""
    for _ in $(seq 100); do
        curl -fsS -o /dev/null "$page" 2>/dev/null || return 0
        sleep 0.1
    done
    echo "package: the server of $* outlives its demo" >&2
    exit 1
}

mkdir "$work/tar" && tar -C "$work/tar" --strip-components=1 -xzf "$out"/dao-api-*.tar.gz
demo "$work/tar/dao-api"
echo "package: the tarball works"

mkdir "$work/app"
(cd "$work/app" && echo '{"private": true}' >package.json &&
    npm install --silent --no-fund --no-audit --offline --omit=optional "$out"/npm/*.tgz)
(cd "$work/app" && npx --no-install dao-api --version)
demo "$work/app/node_modules/.bin/dao-api"
rm -r "$work/app/node_modules/@dao-api"
if "$work/app/node_modules/.bin/dao-api" --version 2>"$work/said"; then exit 1; fi
grep -q '@dao-api/cli-' "$work/said" || { echo "package: a missing platform is not named" >&2; exit 1; }
echo "package: the npm packages work"

python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install --no-index "$out"/*.whl
demo "$work/venv/bin/dao-api"
echo "package: the wheel works"

(cd "$out" && sha256sum --quiet --check SHA256SUMS)
echo "package: the sums are right"
