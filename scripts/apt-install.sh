#!/usr/bin/env bash
# Installs packages of Debian, for the scripts beside it:
#   scripts/apt-install.sh ASKED_BY PACKAGE…
set -euo pipefail

asked_by="$1"
shift

packages="$*"
give_up() {
    echo "$asked_by: $1: install $packages by hand, then run this again" >&2
    exit 1
}

command -v apt-get >/dev/null || give_up "this system has no apt-get"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || give_up "this user is not root and there is no sudo"
    as_root=(sudo)
fi

echo "$asked_by: installing $packages"
# The tests start servers of their own: a package must not start one.
apt_get() {
    "${as_root[@]+"${as_root[@]}"}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq "$@" >/dev/null
}
apt_get install -y --no-install-recommends "$@" 2>/dev/null ||
    { apt_get update && apt_get install -y --no-install-recommends "$@"; } ||
    give_up "apt-get could not install them"
