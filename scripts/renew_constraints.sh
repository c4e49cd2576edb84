#!/usr/bin/env bash
# Resolve everything anew, torch as pinned, and write constraints.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
torch=$(grep '^torch==' constraints.txt)

.venv/bin/python -m venv "$fresh/venv"
"$fresh/venv/bin/python" -m pip install -qq "$torch" ".[dev,samples]"
"$fresh/venv/bin/python" -m pip check
scripts/freeze.sh "$fresh/venv/bin/python" >"$fresh/constraints.txt"
mv "$fresh/constraints.txt" constraints.txt
echo "setup: constraints.txt renewed; run make test and make lint before you commit it"
