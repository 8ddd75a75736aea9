#!/usr/bin/env bash
# Fails if a program in docker/out is larger than it may be: sizes.sh [program …]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# In bytes: what is aimed at, and what it may not grow beyond without somebody looking at what it brought along.
declare -A goal=([agent]=5000000 [controller]=16000000) most=([agent]=7000000 [controller]=16000000)

[ $# -gt 0 ] || set -- agent controller
for program in "$@"; do
    size=$(stat -c %s "docker/out/$program/roadstead-$program")
    say "roadstead-$program: $size bytes; ${goal[$program]} is the goal, ${most[$program]} the most"
    [ "$size" -le "${most[$program]}" ] || fail "roadstead-$program is too large: $size bytes"
done
