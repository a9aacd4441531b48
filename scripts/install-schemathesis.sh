#!/usr/bin/env bash
# Installs Schemathesis into target/test-tools, where scripts/schemathesis.sh starts it. Where it is there
# already it ends at once.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=target/test-tools
wanted=(schemathesis==4.32.5 msgpack==1.2.4)
installed="$("$tools/bin/pip" freeze 2>/dev/null || true)"
for package in "${wanted[@]}"; do
    grep -qixF "$package" <<<"$installed" || missing=yes
done
[ -z "${missing:-}" ] && exit 0
echo "install-schemathesis: installing ${wanted[*]} from PyPI"
{ [ -x "$tools/bin/python" ] || python3 -m venv "$tools"; } && "$tools/bin/pip" -q install "${wanted[@]}" || {
    echo "install-schemathesis: python3 -m venv, or pip install ${wanted[*]}, failed: install them there by hand" >&2
    exit 1
}
