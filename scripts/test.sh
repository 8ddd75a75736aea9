#!/usr/bin/env bash
# Runs every test: units, documentation, tidy, scenarios on real engines. Arguments go to the runner.
#
# Scenarios start Docker engines and network namespaces, which needs root; without it, the test
# binaries run through sudo, and everything is still built as the user who calls.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

scripts/setup-test.sh

started=$SECONDS
if [ "$(id -u)" -ne 0 ]; then
    say "tests run as root through sudo"
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E env PATH=$PATH"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E env PATH=$PATH"
fi

build_web
say "building"
# Binaries and tests in one go, so that both use one build of everything they share.
cargo build --locked --workspace --bins --tests
# As they are handed out: their sizes are looked at, and the scenario of the images runs them.
scripts/images.sh --no-images

result=0
if cargo nextest --version >/dev/null 2>&1; then
    say "running all tests (cargo nextest)"
    cargo nextest run --locked --workspace "$@" || result=$?
else
    say "running all tests (cargo test; cargo-nextest would show more of a hanging one)"
    RUST_TEST_THREADS=2 timeout --foreground 45m \
        cargo test --locked --workspace --lib --bins --tests --no-fail-fast "$@" || result=$?
fi

say "running the documentation's examples"
cargo test --locked --workspace --doc --quiet || result=$?

say "testing the web UI (units, then Chromium on real parts; pictures in target/screenshots)"
install_web_libraries
(cd controller/web && npm run --silent test) || result=$?
(cd controller/web && as_root env "PATH=$PATH" npm run --silent e2e) || result=$?

took=$((SECONDS - started))
if [ "$result" -eq 0 ]; then
    say "all tests passed, in $((took / 60)) min $((took % 60)) s"
else
    say "TESTS FAILED (see above), after $((took / 60)) min $((took % 60)) s"
fi
exit "$result"
