#!/usr/bin/env bash
# The fault suite at length: real agents and controller through kills, stops, partitions and bad lines, then a
# comparison of everything. Its schedule follows from a seed, which it prints.
#
# ROADSTEAD_FAULTS_SEED repeats a schedule; ROADSTEAD_FAULTS (how many), _EVENTS, _AGENTS, _SECONDS, _LONGEST, _COMMANDS
# and _ROUNDS choose another amount (tests/faults/options.rs). PROFILE=dev takes debug builds. Arguments choose tests;
# without any, the power of a virtual machine is cut as well (scripts/power-cuts.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

scripts/setup-test.sh
profile=${PROFILE:-release}
if [ "$(id -u)" -ne 0 ]; then
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E env PATH=$PATH"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E env PATH=$PATH"
fi
export ROADSTEAD_FAULTS=${ROADSTEAD_FAULTS:-200}
export ROADSTEAD_FAULTS_EVENTS=${ROADSTEAD_FAULTS_EVENTS:-1000000}
export ROADSTEAD_FAULTS_AGENTS=${ROADSTEAD_FAULTS_AGENTS:-20}
export ROADSTEAD_FAULTS_SECONDS=${ROADSTEAD_FAULTS_SECONDS:-900}
export ROADSTEAD_FAULTS_LONGEST=${ROADSTEAD_FAULTS_LONGEST:-60}
export ROADSTEAD_FAULTS_COMMANDS=${ROADSTEAD_FAULTS_COMMANDS:-200}
export ROADSTEAD_FAULTS_ROUNDS=${ROADSTEAD_FAULTS_ROUNDS:-200}

build_web
say "building ($profile)"
cargo build --locked --profile "$profile" -p roadstead-agent -p roadstead-controller
target_dir=${CARGO_TARGET_DIR:-target}
ROADSTEAD_BINARIES=$(cd "$target_dir/${profile/#dev/debug}" && pwd)
export ROADSTEAD_BINARIES
# What judges may be slow; what is judged is what users get.
say "running the fault suite"
cargo test --locked -p roadstead-tests --test faults -- --nocapture --test-threads=1 "$@"
if [ "$#" -eq 0 ]; then
    exec scripts/power-cuts.sh
fi
