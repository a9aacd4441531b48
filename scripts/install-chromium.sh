#!/usr/bin/env bash
# Installs Debian's Chromium for the browser tests. Where it is there already it ends at once.
set -euo pipefail

chromium="${CHROMIUM:-/usr/bin/chromium}"
[ -x "$chromium" ] && exit 0

give_up() {
    echo "install-chromium: $1: install chromium by hand, or set CHROMIUM, then run this again" >&2
    exit 1
}

command -v apt-get >/dev/null || give_up "this system has no apt-get"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || give_up "this user is not root and there is no sudo"
    as_root=(sudo)
fi

echo "install-chromium: installing chromium"
apt_get() {
    "${as_root[@]+"${as_root[@]}"}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >/dev/null
}
apt_get install -y --no-install-recommends chromium fonts-dejavu-core 2>/dev/null ||
    { apt_get update && apt_get install -y --no-install-recommends chromium fonts-dejavu-core; } ||
    give_up "apt-get could not install it"
[ -x "$chromium" ] || give_up "apt-get installed it and it is not at $chromium"
