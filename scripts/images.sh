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
host=$(rustc -vV | sed -n 's/^host: //p')
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

# Whether there is musl to link with, the C library that the agent is smallest with. Rust's part of it comes through rustup,
# if that is here and its server can be reached.
have_musl() {
    [[ $host == x86_64-unknown-linux-gnu ]] || return 1
    local installed
    installed=$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-musl/lib
    [ -d "$installed" ] || { have rustup && timeout 120 rustup --quiet target add x86_64-unknown-linux-musl; } || return 1
    have musl-gcc || have apt-get || return 1
    install_missing musl-gcc:musl-tools
}

agent_target=$host
if have_musl; then
    agent_target=x86_64-unknown-linux-musl
    export CC_x86_64_unknown_linux_musl=musl-gcc
else
    say "no musl for this compiler: the agent gets the larger C library of the system (about 1.5 MB more)"
    export MOST_AGENT=6600000
fi

# What makes the agent small, beside its cargo profile: no tables to unwind by, relocations in a few bits each, equal
# functions once. Written for lld, which is Rust's own linker here.
small_flags="-C force-unwind-tables=no"
case $agent_target in
    *-musl)
        small_flags+=" -C linker=rust-lld -C linker-flavor=ld.lld -C link-arg=-zpack-relative-relocs -C link-arg=--icf=safe"
        small_flags+=" -C link-arg=--no-eh-frame-hdr -C link-arg=-T$PWD/agent/nothing-to-unwind.ld"
        ;;
    x86_64-*) # The system's C library has to know such relocations: 2.36.
        small_flags+=" -C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,--icf=safe"
        ;;
esac
small_cflags="-fno-asynchronous-unwind-tables"

# static_build program: each with a profile of its own, and with no feature that only the other asks for.
static_build() {
    local program=$1 target=$host cargo_profile=$profile flags=$flags
    local -x CFLAGS=${CFLAGS:-}
    [ "$program" != agent ] || target=$agent_target
    if [ "$profile" = dist ]; then
        cargo_profile=dist-$program
        if [ "$program" = agent ]; then
            flags+=" $small_flags"
            CFLAGS+=" $small_cflags"
        fi
    fi
    say "building roadstead-$program, static ($cargo_profile, $target)"
    RUSTFLAGS=$flags cargo build --locked --quiet --target "$target" \
        --target-dir "$target_dir" --profile "$cargo_profile" -p "roadstead-$program"
    local out=docker/out/$program/roadstead-$program
    mkdir -p "${out%/*}"
    cp "$target_dir/$target/${cargo_profile/#dev/debug}/roadstead-$program" "$out"
    ! grep -qa '/ld-linux\|/ld-musl' "$out" || fail "$out is not static"
    "$out" --version >/dev/null || fail "$out does not start: is this C library older than 2.36?"
}

read -ra programs <<<"${PROGRAMS:-agent controller}"
[[ ${programs[*]} != *controller* ]] || build_web
mkdir -p docker/out/empty
for program in "${programs[@]}"; do static_build "$program"; done
[ "$profile" != dist ] || scripts/sizes.sh "${programs[@]}"

[ "${1:-}" != --no-images ] || exit 0
for program in "${programs[@]}"; do
    say "roadstead-$program:$version"
    DOCKER_BUILDKIT=0 docker build --quiet -f "docker/Dockerfile.$program" \
        -t "roadstead-$program:$version" -t "roadstead-$program:latest" docker
    [ "$profile" != dist ] || scripts/sizes.sh "$program-image"
done
