#!/usr/bin/env bash
# Measures what docs/benchmarks.md reports, side by side in one run, on real parts. Arguments choose benchmarks.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

scripts/setup-test.sh
say "building (release)"
cargo build --locked --release --bins
cargo build --locked --release -p roadstead-tests --bench figures
[ "$(id -u)" -eq 0 ] || export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E env PATH=$PATH"
exec cargo bench --locked -p roadstead-tests --bench figures -- "$@"
