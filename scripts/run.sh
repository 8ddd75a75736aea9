#!/usr/bin/env bash
# Builds Roadstead and runs a controller in the foreground, with an agent for this machine's Docker engine.
# Ctrl-C ends both. Data stays in ./data, or where ROADSTEAD_DATA_DIR says.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

data=${ROADSTEAD_DATA_DIR:-$PWD/data}
default_socket=/var/run/docker.sock

# Whether an engine answers where the agent will look for it.
engine_answers() {
    local host=${DOCKER_HOST:-unix://$default_socket}
    docker --host "$host" version >/dev/null 2>&1 || (as_root docker --host "$host" version) >/dev/null 2>&1
}

# Waits until the engine answers, at most $1 seconds.
engine_comes_up() {
    local left=$(($1 * 2))
    until engine_answers; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.5
    done
}

# Starts Debian's engine: through the init system, or without one as a process of its own, which goes on
# when the controller ends, as a service would.
start_engine() {
    if [ -d /run/systemd/system ]; then
        say "starting the Docker engine (systemctl start docker)"
        as_root systemctl start docker && engine_comes_up 15 && return
    elif have service && as_root service docker start >/dev/null 2>&1 && engine_comes_up 15; then
        say "started the Docker engine (service docker start)"
        return
    fi
    local log=/var/log/roadstead-dockerd.log flags
    # In a container or a small machine the engine may not be allowed to change the firewall: then it
    # runs without, and containers reach no network outside.
    for flags in "" " --iptables=false --ip6tables=false --bridge=none"; do
        say "starting the Docker engine in the background (dockerd$flags; log: $log)"
        as_root sh -c "PATH=\$PATH:/usr/sbin; exec setsid dockerd$flags >>$log 2>&1 </dev/null" &
        engine_comes_up 20 && return
        as_root pkill --pidfile /var/run/docker.pid 2>/dev/null || true
    done
    as_root tail -n 20 "$log" >&2
    fail "the Docker engine did not start; the end of its log is above"
}

install_build_tools
# With sudo it belongs to root after the first run.
[ -d "$data" ] || { mkdir -p "$data" && chmod 700 "$data"; }

case ${ROADSTEAD_LOCAL_AGENT:-auto} in
off) ;;
*)
    if have docker && engine_answers; then
        say "using the Docker engine at ${DOCKER_HOST:-$default_socket}"
    elif [ -n "${DOCKER_HOST:-}" ]; then
        fail "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST; correct it, unset it, or set ROADSTEAD_LOCAL_AGENT=off"
    else
        have dockerd || say "there is no Docker engine on this machine: installing Debian's docker.io"
        install_missing dockerd:docker.io docker:docker.io
        start_engine
    fi
    ;;
esac

if have_node; then
    build_web
elif [ ! -e controller/web/dist/index.html ]; then
    say "WITHOUT the web UI: building it needs Node.js 20.19 or later (https://nodejs.org)"
fi
say "building Roadstead (the first time takes some minutes)"
cargo build --locked --release -p roadstead-agent -p roadstead-controller

say "data is kept in $data"
export ROADSTEAD_DATA_DIR=$data
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
controller=$target/release/roadstead-controller
if [ "$(id -u)" -ne 0 ] && [ ! -w "$default_socket" ] && [ -z "${DOCKER_HOST:-}" ]; then
    say "the Docker socket is root's: running through sudo"
    exec sudo -E "$controller"
fi
exec "$controller"
