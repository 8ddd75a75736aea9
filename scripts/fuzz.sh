#!/usr/bin/env bash
# Fuzzes every parser of what strangers, peers, engines and operators give, each for ROADSTEAD_FUZZ_SECONDS (60), and
# says how many inputs there were. Stable Rust; overflow and assertions are checked.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

install_build_tools
export ROADSTEAD_FUZZ_SECONDS=${ROADSTEAD_FUZZ_SECONDS:-60}
say "each parser for $ROADSTEAD_FUZZ_SECONDS s"
cargo test --locked --no-fail-fast -p roadstead-protocol -p roadstead-agent -p roadstead-controller --lib --test fuzz \
    -- --nocapture --test-threads "$(nproc)" fuzz_
