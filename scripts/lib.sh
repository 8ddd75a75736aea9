# shellcheck shell=bash
# What the other scripts share. They source it; it does nothing by itself.

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs a command as root: by itself, or through sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root, and sudo is missing: run it as root: $*"
    fi
}

# Programs of the system lie in folders that a user's path may not have.
have() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null; }

# Installs the Debian packages whose program is missing: install_missing program:package …
install_missing() {
    local missing=() pair
    for pair in "$@"; do
        have "${pair%%:*}" || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    have apt-get || fail "these are missing, and this is no Debian to install them on: ${missing[*]}"
    say "installing ${missing[*]} (apt-get)"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null || fail "apt-get could not install ${missing[*]}"
}

# The compiler and what the build of its crates needs.
install_build_tools() {
    have cargo || fail "Rust is missing: install it from https://rustup.rs (version 1.95 or later)"
    install_missing cc:gcc make:make
}
