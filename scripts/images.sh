#!/usr/bin/env bash
# Builds static binaries and puts each into an image FROM scratch. Nothing is pulled.
#
# PROFILE (default dist) chooses the cargo profiles: dist, or dev for a quick trial. PROGRAMS (default "agent controller")
# chooses what is built. With the argument --no-images it only prepares docker/out.
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

flags="-C target-feature=+crt-static"
if [ "$profile" = dist ]; then
    # Nothing of where and when it was built gets into what is handed out: scripts/reproducible.sh compares.
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    flags+=" --remap-path-prefix=$PWD=/roadstead --remap-path-prefix=$cargo_home=/cargo"
    export CFLAGS="-ffile-prefix-map=$PWD=/roadstead -ffile-prefix-map=$cargo_home=/cargo ${CFLAGS:-}"
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
    export SOURCE_DATE_EPOCH
fi

# What makes the agent small, beside its cargo profile: no tables to unwind by in what is compiled here, relocations in a
# few bits each (the C library that is linked in has to know them: 2.36), equal functions once. The last two are words of
# lld, which is Rust's linker on this architecture.
small_flags="-C force-unwind-tables=no"
[[ $target != x86_64-* ]] ||
    small_flags+=" -C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,--icf=safe"
small_cflags="-fno-asynchronous-unwind-tables"

# static_build cargo-profile package …
static_build() {
    local cargo_profile=$1 package flags=$flags
    shift
    local -x CFLAGS=${CFLAGS:-}
    if [ "$cargo_profile" = dist-agent ]; then
        flags+=" $small_flags"
        CFLAGS+=" $small_cflags"
    fi
    say "building $*, static ($cargo_profile)"
    local packages=()
    for package in "$@"; do packages+=(-p "$package"); done
    RUSTFLAGS=$flags cargo build --locked --quiet --target "$target" \
        --target-dir "$target_dir" --profile "$cargo_profile" "${packages[@]}"
    for package in "$@"; do
        local out=docker/out/${package#roadstead-}
        mkdir -p "$out"
        cp "$target_dir/$target/${cargo_profile/#dev/debug}/$package" "$out/"
        ! grep -qa '/ld-linux' "$out/$package" || fail "$out/$package is not static"
        "$out/$package" --version >/dev/null || fail "$out/$package does not start: is this C library older than 2.36?"
    done
}

read -ra programs <<<"${PROGRAMS:-agent controller}"
[[ ${programs[*]} != *controller* ]] || build_web
mkdir -p docker/out/empty
if [ "$profile" = dist ]; then
    # Each with a profile of its own, and with no feature that only the other asks for.
    for program in "${programs[@]}"; do static_build "dist-$program" "roadstead-$program"; done
    scripts/sizes.sh "${programs[@]}"
else
    static_build "$profile" "${programs[@]/#/roadstead-}"
fi

[ "${1:-}" != --no-images ] || exit 0
for program in "${programs[@]}"; do
    say "roadstead-$program:$version"
    DOCKER_BUILDKIT=0 docker build --quiet -f "docker/Dockerfile.$program" \
        -t "roadstead-$program:$version" -t "roadstead-$program:latest" docker
    [ "$profile" != dist ] || scripts/sizes.sh "$program-image"
done
