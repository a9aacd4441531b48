#!/usr/bin/env bash
# Runs Python with the library `wheel`, in an environment of its own (target/package-tools).
set -euo pipefail
tools="$(cd "$(dirname "$0")/../.." && pwd)/target/package-tools"
"$tools/bin/python" -c "import wheel" 2>/dev/null || {
    python3 -m venv "$tools" && "$tools/bin/pip" -q install 'wheel>=0.45,<1'
} || { echo "package: python3 -m venv, or pip install wheel, failed: install them by hand" >&2; exit 1; }
exec "$tools/bin/python" "$@"
