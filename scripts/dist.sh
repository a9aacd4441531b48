#!/usr/bin/env bash
# Builds the program with its symbols and line tables and splits them off: target/dist/dao-api, and dao-api.debug beside
# it, which a backtrace reads where both are in one folder. With --packages also what is given to people, in
# target/dist/packages: tarball, npm packages, wheel, context of an image (scripts/package/make.py).
set -euo pipefail
cd "$(dirname "$0")/.."
command -v objcopy >/dev/null || { echo "dist: objcopy is missing: install binutils" >&2; exit 1; }
cargo build --profile dist --locked --bin dao-api
cd "${CARGO_TARGET_DIR:-target}/dist"
# Of a copy: cargo's own file stays as it made it.
whole="$(mktemp -p .)"
cp --remove-destination dao-api "$whole"
objcopy --only-keep-debug --compress-debug-sections=zlib "$whole" dao-api.debug
objcopy --strip-all --remove-section .gnu_debuglink --add-gnu-debuglink=dao-api.debug "$whole" dao-api.stripped
rm "$whole"
chmod 755 dao-api.stripped
mv dao-api.stripped dao-api
ls -l dao-api dao-api.debug
if [ "${1:-}" = --packages ]; then
    cd - >/dev/null
    ./scripts/package/python.sh scripts/package/make.py "${CARGO_TARGET_DIR:-target}/dist/dao-api" "${CARGO_TARGET_DIR:-target}/dist/packages"
fi
