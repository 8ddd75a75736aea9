#!/usr/bin/env bash
# Installs what the tests need and this machine lacks.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

install_build_tools
install_missing \
    dockerd:docker.io docker:docker.io docker-registry:docker-registry docker-compose:docker-compose \
    busybox:busybox-static ip:iproute2 tc:iproute2 nft:nftables iptables:iptables strace:strace faketime:faketime curl:curl \
    runc:runc containerd:containerd nginx:nginx-light haproxy:haproxy kill:procps chromium:chromium
need_node

# The images of the tests hold nothing but this one program, so it has to be static.
if grep -qa '/ld-linux' "$(command -v busybox)"; then
    say "replacing busybox by busybox-static (apt-get)"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq busybox-static >/dev/null
fi
