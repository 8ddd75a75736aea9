#!/usr/bin/env bash
# Builds static binaries and puts each into an image FROM scratch. Nothing is pulled.
#
# PROFILE (default dist) chooses the cargo profiles: dist, or dev for a quick trial.
# With the argument --no-images it only prepares docker/out.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

install_build_tools
profile=${PROFILE:-dist}
target=$(rustc -vV | sed -n 's/^host: //p')
# A folder of its own: other flags would rebuild everything in the usual one, again and again.
target_dir=${CARGO_TARGET_DIR:-target}/static
version=$(cargo metadata --format-version 1 --no-deps --locked |
    sed 's/.*"name":"roadstead-agent","version":"\([^"]*\)".*/\1/')

mkdir -p docker/out/empty
for program in agent controller; do
    cargo_profile=$profile
    folder=$profile
    [ "$profile" != dist ] || { cargo_profile=dist-$program && folder=dist-$program; }
    [ "$profile" != dev ] || folder=debug
    say "building roadstead-$program, static ($cargo_profile)"
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --quiet --target "$target" \
        --target-dir "$target_dir" --profile "$cargo_profile" -p "roadstead-$program"
    mkdir -p "docker/out/$program"
    binary=docker/out/$program/roadstead-$program
    cp "$target_dir/$target/$folder/roadstead-$program" "$binary"
    ! grep -qa '/ld-linux' "$binary" || fail "$binary is not static"
done

[ "${1:-}" != --no-images ] || exit 0
for program in agent controller; do
    say "roadstead-$program:$version"
    DOCKER_BUILDKIT=0 docker build --quiet -f "docker/Dockerfile.$program" \
        -t "roadstead-$program:$version" -t "roadstead-$program:latest" docker
done
