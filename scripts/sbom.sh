#!/usr/bin/env bash
# Writes what the programs are made of, as CycloneDX 1.5 (JSON), into target/sbom: a file for each program, and one for the
# libraries that the web UI is built with.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

have cargo-cyclonedx || fail "cargo-cyclonedx is missing: cargo install --locked cargo-cyclonedx"
need_node
out=${CARGO_TARGET_DIR:-target}/sbom
mkdir -p "$out"
# It writes beside the manifest of every member of the workspace.
trap 'rm -f -- */*_bin.cdx.json' EXIT
cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries
for program in agent controller; do
    # Where it was built is nobody's business.
    sed "s|file://$PWD|file:///roadstead|g" "$program/roadstead-${program}_bin.cdx.json" >"$out/roadstead-$program.cdx.json"
done
(cd controller/web && npm sbom --sbom-format=cyclonedx --package-lock-only 2>/dev/null) >"$out/web.cdx.json"
# A list without what each certainly has would be a list of something else.
for pair in roadstead-agent:hyper roadstead-controller:axum web:svelte; do
    grep -q "\"name\": \"${pair#*:}\"" "$out/${pair%%:*}.cdx.json" || fail "$out/${pair%%:*}.cdx.json lacks ${pair#*:}"
done
say "in $out: $(cd "$out" && echo *.cdx.json)"
