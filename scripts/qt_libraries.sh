#!/usr/bin/env bash
# See that the system libraries of Qt and OpenGL are there, and a virtual screen.
# As root on Debian or Ubuntu it installs what is missing; else it says what to do.
set -euo pipefail

[ "$(uname -s)" = Linux ] || exit 0 # macOS: all in the wheels

PATH="$PATH:/usr/sbin:/sbin" # ldconfig is not on every user's path
libraries=$(ldconfig -p || true)

# A library or a program, and the Debian package it comes in.
needs="libfontconfig.so.1     libfontconfig1
libGL.so.1             libgl1
libEGL.so.1            libegl1
libglib-2.0.so.0       libglib2.0-0
libdbus-1.so.3         libdbus-1-3
libxkbcommon-x11.so.0  libxkbcommon-x11-0
libxcb-cursor.so.0     libxcb-cursor0
libxcb-icccm.so.4      libxcb-icccm4
libxcb-keysyms.so.1    libxcb-keysyms1
libxcb-shape.so.0      libxcb-shape0
Xvfb                   xvfb
xauth                  xauth"

missing=()
packages=()
while read -r thing package; do
    case $thing in
    *.so.*) [[ $libraries == *"$thing"* ]] && continue ;;
    *) command -v "$thing" >/dev/null && continue ;;
    esac
    missing+=("$thing")
    packages+=("$package")
done <<<"$needs"
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "setup: install with your package manager what provides: ${missing[*]}"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "setup: Qt needs system libraries; run: sudo apt-get install -y ${packages[*]}"
    exit 0
fi

echo "setup: installing system libraries: ${packages[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } \
    >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: apt-get failed (above); install by hand: ${packages[*]}" >&2
    exit 1
fi
