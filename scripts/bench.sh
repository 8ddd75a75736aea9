#!/usr/bin/env bash
# Measures what docs/benchmarks.md reports, side by side in one run, on real parts.
#
# With `quick` a trial of some minutes; with names of parts (latency, footprint, list, growth, intake, fleet, api)
# those alone.
# PROFILE chooses what is measured, as for scripts/images.sh: the binaries of the images (dist, the default), or any
# other cargo profile.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

scripts/setup-test.sh
scripts/images.sh --no-images
target_dir=${CARGO_TARGET_DIR:-target}
# Both in one folder, with a name that lasts while the next ones are built.
mkdir -p "$target_dir/bench-binaries"
cp -f docker/out/agent/roadstead-agent docker/out/controller/roadstead-controller "$target_dir/bench-binaries/"
ROADSTEAD_BINARIES=$(cd "$target_dir/bench-binaries" && pwd)
export ROADSTEAD_BINARIES

say "building what measures"
cargo build --locked --profile bench -p roadstead-tests --bench figures
if [ "$(id -u)" -ne 0 ]; then
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E env PATH=$PATH"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E env PATH=$PATH"
fi
exec cargo bench --locked -p roadstead-tests --bench figures -- "$@"
