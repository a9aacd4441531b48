#!/usr/bin/env bash
# Installs Debian's Chromium for the browser tests. Where it is there already it ends at once.
set -euo pipefail
cd "$(dirname "$0")/.."

chromium="${CHROMIUM:-/usr/bin/chromium}"
[ -x "$chromium" ] && exit 0
./scripts/apt-install.sh install-chromium chromium fonts-dejavu-core
if [ ! -x "$chromium" ]; then
    echo "install-chromium: apt-get installed it and it is not at $chromium: set CHROMIUM" >&2
    exit 1
fi
