#!/usr/bin/env bash
# Everything that a change has to pass besides the tests: format, lints, documentation, scripts, licences.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

install_build_tools
say "format"
cargo fmt --all --check
say "lints"
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
say "web UI"
install_web_libraries
(
    cd controller/web
    npm run --silent check
    npm run --silent check:schema
)
say "scripts"
install_missing shellcheck:shellcheck
shellcheck .ci/run scripts/*.sh
if cargo deny --version >/dev/null 2>&1; then
    say "dependencies: licences, bans, sources"
    cargo deny --locked check --hide-inclusion-graph licenses bans sources
    if cargo deny --locked fetch db >/dev/null 2>&1; then
        say "dependencies: advisories"
        cargo deny --locked check --hide-inclusion-graph advisories
    else
        say "advisories NOT checked: https://github.com/RustSec/advisory-db cannot be reached"
    fi
else
    say "dependencies NOT checked: cargo install cargo-deny --locked (a build of some minutes)"
fi
