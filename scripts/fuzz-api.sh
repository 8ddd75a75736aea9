#!/usr/bin/env bash
# Asks a controller of its own everything that its API description allows, and much that it does not: no answer may be
# a 5xx, nor one that the description does not have. Arguments go to schemathesis (--max-examples 500, --seed 1).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

install_build_tools
install_missing python3:python3 curl:curl

# Outside the repository, and used again by the next run.
tools=${XDG_CACHE_HOME:-$HOME/.cache}/roadstead/schemathesis-4
if [ ! -x "$tools/bin/st" ]; then
    say "installing schemathesis (pip, into $tools)"
    python3 -c 'import ensurepip' 2>/dev/null || install_missing venv:python3-venv
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check 'schemathesis>=4.32,<5'
fi

say "building"
cargo build --locked --quiet -p roadstead-controller

work=$(mktemp -d)
controller=
trap '[ -z "$controller" ] || kill "$controller" 2>/dev/null || true; wait; rm -rf "$work"' EXIT

ROADSTEAD_PASSWORD=a-password-for-fuzzing target/debug/roadstead-controller --data-dir "$work/data" \
    --listen 127.0.0.1:0 --agent-listen 127.0.0.1:0 --local-agent off >"$work/out" 2>"$work/log" &
controller=$!
until [ -s "$work/data/listening.json" ] && grep -q 'is up' "$work/out"; do
    kill -0 "$controller" 2>/dev/null || { cat "$work/log"; fail "the controller ended"; }
    sleep 0.1
done
url=$(grep -o 'http://[0-9.:]*' "$work/out" | head -1)

json='content-type: application/json'
curl -fsS -c "$work/jar" -H "$json" -d '{"password":"a-password-for-fuzzing"}' "$url/api/login" >/dev/null
session=$(awk '$6 == "roadstead_session" { print $7 }' "$work/jar")
ask() { curl -fsS -b "$work/jar" -H "$json" "$@" >/dev/null; }
for name in one two three; do ask -d "{\"name\":\"$name\",\"tags\":[\"$name\"]}" "$url/api/instances"; done
ask -d '{"name":"somebody","role":"operator"}' "$url/api/users"
ask -d '{"name":"something","scope":"read"}' "$url/api/tokens"

checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance
checks+=,response_schema_conformance,unsupported_method,allow_header_conformance
fuzz() {
    # From its own folder: it leaves a cache where it runs.
    (cd "$work" && "$tools/bin/st" run "$url/api/openapi.json" -H "Cookie: roadstead_session=$session" \
        --checks "$checks" --request-timeout 40 --max-examples 100 --continue-on-failure \
        --output-truncate true --warnings off "$@")
}

# Streams never end, and are left out. What can take its rights away from the very session that asks comes last.
say "asking $url with $("$tools/bin/st" --version)"
result=0
own=(/api/logout '/api/sessions/{id}' '/api/users/{name}' '/api/users/{name}/password')
mapfile -t exclude < <(printf -- '--exclude-path\n%s\n' /api/live "${own[@]}")
mapfile -t include < <(printf -- '--include-path\n%s\n' "${own[@]}")
fuzz "${exclude[@]}" "$@" || result=$?
ask "$url/api/users" || fail "the session that asked lost its rights meanwhile"
fuzz "${include[@]}" "$@" || result=$?

if grep -qE 'ERROR|panicked' "$work/log"; then
    grep -E 'ERROR|panicked' "$work/log" | head -20
    fail "the controller's log has errors"
fi
exit "$result"
