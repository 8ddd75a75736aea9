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

# Whether there is a Node.js that Vite works with: 20.19 or later.
have_node() {
    have npm && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' \
        2>/dev/null
}

need_node() { have_node || fail "Node.js 20.19 or later is missing: install it from https://nodejs.org"; }

# The web UI's libraries, as the lock file names them.
install_web_libraries() {
    need_node
    local installed=controller/web/node_modules/.package-lock.json
    if [ ! -e "$installed" ] || [ controller/web/package-lock.json -nt "$installed" ]; then
        say "installing the web UI's libraries (npm ci)"
        (cd controller/web && npm ci --silent --no-audit --no-fund)
    fi
}

# Builds the web UI into controller/web/dist, from where the controller's build takes it, unless it is up to date.
build_web() {
    local built=controller/web/dist/index.html
    if [ ! -e "$built" ] || [ -n "$(find controller/web/src controller/web/public controller/web/*.* -newer "$built" -print -quit)" ]; then
        install_web_libraries
        say "building the web UI"
        (cd controller/web && npm run --silent build -- --logLevel warn)
    fi
}

# The compiler and what the build of its crates needs.
install_build_tools() {
    have cargo || fail "Rust is missing: install it from https://rustup.rs (version 1.95 or later)"
    install_missing cc:gcc make:make
}
