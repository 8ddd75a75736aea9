#!/usr/bin/env bash
# Removes what was built and what killed tests left in /tmp. Data stays.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

cargo clean
rm -rf certs-dev/out docker/out controller/web/node_modules
find controller/web/dist -mindepth 1 ! -name .gitignore -delete
if [ -e /tmp/roadstead-tests ]; then
    if pgrep -f 'dockerd .*/tmp/roadstead-tests/' >/dev/null; then
        say "tests are running: /tmp/roadstead-tests stays"
    else
        as_root rm -rf /tmp/roadstead-tests
    fi
fi
[ ! -e data ] || say "your data is still in ./data"
