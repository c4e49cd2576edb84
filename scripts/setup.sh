#!/usr/bin/env bash
# Make .venv ready for work. Run it as often as you like: nothing changed, nothing done.
#   PYTHON=python3.12 scripts/setup.sh     with a Python of your choice, 3.11 to 3.13
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*"; }

suits() { # a Python 3.11 to 3.13 that can make an environment
    "$1" -c 'import ensurepip, sys, venv
sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    local candidate candidates=(python3.11 python3.12 python3.13 python3)
    [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if suits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    {
        say "wanted Python 3.11, 3.12 or 3.13 with venv; tried: ${candidates[*]}"
        say "install one (Debian: apt-get install python3 python3-venv), or name it:" \
            "make setup PYTHON=/path/to/python3.12"
    } >&2
    return 1
}

fingerprint() { # what the environment depends on; it must not be moved either
    pwd
    cat pyproject.toml constraints.txt | cksum
}

suits_wish() { # .venv works, and is of the version that PYTHON asks for
    suits .venv/bin/python &&
        { [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" -V 2>&1)" = "$(.venv/bin/python -V)" ]; }
}

environment() {
    local python
    # The link beside the package is not in git: `git clean` takes it away.
    if suits_wish && [ -e napari_segreview/napari.yaml ] &&
        fingerprint | cmp -s - .venv/ready; then
        return
    fi
    if ! suits_wish; then
        python=$(find_python)
        say "making .venv with $("$python" --version)"
        "$python" -m venv --clear .venv
    fi
    say "installing SegReview and what it needs (some minutes, about 2.5 GB)"
    rm -f .venv/ready
    .venv/bin/python -m pip install -qq --disable-pip-version-check \
        -c constraints.txt -e ".[dev]"
    fingerprint >.venv/ready
}

environment
scripts/qt_libraries.sh
say "ready"
