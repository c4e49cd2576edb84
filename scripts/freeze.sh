#!/usr/bin/env bash
# Print constraints.txt for a Python: scripts/freeze.sh .venv/bin/python > constraints.txt
set -euo pipefail

cat <<'HEADER'
# What development and tests were last run with; `make setup` installs these.
# pyproject.toml says what the package needs; this file only makes it repeatable.
# Renew it with `make constraints` (a fresh environment, everything at its newest but
# torch: change that line first to move it). torch carries no +cpu: whether the CPU or
# the CUDA build comes is the package index's choice.
HEADER
# Left out: pip (the venv's own), the project, CUDA parts (torch names its own).
"${1:?usage: scripts/freeze.sh PYTHON}" -m pip freeze --all --exclude-editable |
    grep -Ev '^(pip|napari-segreview|nvidia-.*|cuda-.*|triton)(==| @ )' |
    sed -E 's/^([^=]+==[^+]+)\+.*/\1/' |
    sort -f
