#!/usr/bin/env bash
# Builds what `make images` puts into the images twice, from the last commit, in two folders of different names, and
# compares byte by byte. Takes two whole builds. Arguments choose the programs: reproducible.sh [agent] [controller]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

[ $# -gt 0 ] || set -- agent controller
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
folders=("$place/a" "$place/another-folder-with-a-much-longer-name")
# What is committed meanwhile is not built.
commit=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH
unset CARGO_TARGET_DIR
for folder in "${folders[@]}"; do
    mkdir "$folder"
    git archive "$commit" | tar -x -C "$folder"
    PROGRAMS="$*" "$folder/scripts/images.sh" --no-images
done
result=0
for program in "$@"; do
    for folder in "${folders[@]}"; do
        (cd "$folder/docker/out/$program" && sha256sum "roadstead-$program")
    done
    cmp "${folders[0]}/docker/out/$program/roadstead-$program" "${folders[1]}/docker/out/$program/roadstead-$program" ||
        result=1
done
[ "$result" -eq 0 ] || fail "the builds differ"
say "both builds are the same, byte by byte"
