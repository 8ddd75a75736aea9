#!/usr/bin/env bash
# Fails if a program in docker/out, or the image it is in, is larger than it may be: sizes.sh [program[-image] …]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# In bytes: what is aimed at, and what it may not grow beyond without somebody looking at what it brought along; a little
# more, since another compiler makes other code.
declare -A goal=([agent]=5000000 [agent-image]=5500000 [controller]=16000000 [controller-image]=17000000)
declare -A most=([agent]=${MOST_AGENT:-5200000} [agent-image]=${MOST_AGENT:-5500000} [controller]=16500000 [controller-image]=17000000)

size_of() {
    case $1 in
        *-image) docker image inspect --format '{{.Size}}' "roadstead-${1%-image}" ;;
        *) stat -c %s "docker/out/$1/roadstead-$1" ;;
    esac
}

[ $# -gt 0 ] || set -- agent controller
for what in "$@"; do
    size=$(size_of "$what")
    say "roadstead-$what: $size bytes; ${goal[$what]} is the goal, ${most[$what]} the most"
    [ "$size" -le "${most[$what]}" ] || fail "roadstead-$what is too large: $size bytes"
done
