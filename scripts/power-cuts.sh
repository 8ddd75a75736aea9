#!/usr/bin/env bash
# Cuts the power of a machine that writes through the controller's store or the agent's outbox, again and again, and
# holds its disk against what it had said was stored. CUTS is how many each (20), SEED makes the moments the same.
#
# The machine is a QEMU guest that is killed: what it had not told its disk to keep is lost with its memory. That this
# bites is shown by the same programs made careless: with synchronous=NORMAL, and with an fsync that does nothing, they
# must be found out.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

[ "$(uname -m)" = x86_64 ] || fail "power cuts need an x86-64 machine: the guest's kernel is Debian's for it"
install_missing qemu-system-x86_64:qemu-system-x86 mkfs.ext4:e2fsprogs debugfs:e2fsprogs busybox:busybox-static
target_dir=${CARGO_TARGET_DIR:-target}
cuts=${CUTS:-20}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
work=$target_dir/power
mkdir -p "$work/packages"
say "power cuts: $cuts each, SEED=$seed"

# unpack package: the newest of Debian's archive, without installing it on this machine.
unpack() {
    [ ! -d "$work/packages/$1" ] || return 0
    (cd "$work/packages" && apt-get download -qq "$1" 2>/dev/null) || fail "apt-get could not download $1"
    dpkg -x "$work/packages/$1"_*.deb "$work/packages/$1.new"
    rm "$work/packages/$1"_*.deb
    mv "$work/packages/$1.new" "$work/packages/$1"
}

kernel_package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: //p' | head -n1)
[ -n "$kernel_package" ] || { as_root apt-get update -qq && kernel_package=$(
    apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p' | head -n1); }
unpack "$kernel_package"
unpack libeatmydata1
kernel=$(echo "$work/packages/$kernel_package"/boot/vmlinuz-*)

say "building what the machine runs"
cargo build --locked --quiet -p roadstead-tests --bin roadstead-power
program=$target_dir/debug/roadstead-power

root=$work/root
rm -rf "$root"
mkdir -p "$root"/{bin,dev,proc,data,tmp,lib,lib64}
cp "$(command -v busybox)" "$root/bin/busybox"
strip -o "$root/bin/roadstead-power" "$program"
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do cp --parents -L "$library" "$root"; done
cp "$work"/packages/libeatmydata1/usr/lib/*/libeatmydata.so "$root/lib/libeatmydata.so"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
exec >/dev/console 2>&1 </dev/null
for word in $(/bin/busybox cat /proc/cmdline); do
    case $word in
    part=*) part=${word#part=} ;;
    preload=*) export LD_PRELOAD=${word#preload=} ;;
    esac
done
/bin/busybox mount -t ext4 /dev/nvme0n1 /data || echo "no disk"
/bin/roadstead-power write "$part" "/data/$part"
echo "the writer ended by itself"
INIT
chmod +x "$root/init"
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >"$work/initramfs.gz"

# run_and_cut part preload seconds log: boots, lets it write for so long, and pulls the plug.
run_and_cut() {
    local part=$1 preload=$2 seconds=$3 log=$4 machine waited=0
    : >"$log"
    qemu-system-x86_64 -accel tcg -m 512 -nodefaults -display none -no-reboot \
        -kernel "$kernel" -initrd "$work/initramfs.gz" -serial "file:$log" \
        -append "console=ttyS0 loglevel=3 panic=-1 part=$part ${preload:+preload=$preload}" \
        -drive "file=$work/disk.img,format=raw,if=none,id=disk,cache=writeback" -device nvme,drive=disk,serial=1 \
        2>"$log.qemu" &
    machine=$!
    until grep -qE '^(stored|appended) ' "$log"; do
        waited=$((waited + 1))
        if [ "$waited" -gt 1200 ] || ! kill -0 "$machine" 2>/dev/null; then
            kill -KILL "$machine" 2>/dev/null || true
            cat "$log" "$log.qemu" >&2
            fail "the machine does not write"
        fi
        sleep 0.1
    done
    sleep "$seconds"
    ! grep -q 'the writer ended by itself' "$log" || { cat "$log" >&2 && fail "the writer ended by itself"; }
    kill -KILL "$machine"
    wait "$machine" 2>/dev/null || true
}

# check part logs…: what a machine that starts again would find, on a copy of the disk.
check() {
    local part=$1 copy=$work/copy.img
    shift
    cp --sparse=always "$work/disk.img" "$copy"
    # 1: it mended what a cut leaves, as a start does.
    e2fsck -fy "$copy" >"$work/e2fsck.log" 2>&1 || [ $? -le 1 ] || { cat "$work/e2fsck.log" && return 1; }
    rm -rf "$work/found"
    mkdir "$work/found"
    debugfs -R "rdump /$part $work/found" "$copy" 2>/dev/null
    "$program" check "$part" "$work/found/$part" "$@"
}

new_disk() {
    rm -f "$work"/disk.img "$work"/console-*
    truncate -s 1G "$work/disk.img"
    mkfs.ext4 -q -F "$work/disk.img"
}

moment() { printf '%d.%02d' $((RANDOM % 3)) $((RANDOM % 100)); }

# survives part: a disk that is used again and again keeps what it was said to keep.
survives() {
    local part=$1 cut seconds consoles=()
    new_disk
    for cut in $(seq "$cuts"); do
        seconds=$(moment)
        run_and_cut "$part" '' "$seconds" "$work/console-$cut"
        consoles+=("$work/console-$cut")
        printf '%s, cut %s after %s s: ' "$part" "$cut" "$seconds"
        check "$part" "${consoles[@]}" ||
            fail "$part lost something at cut $cut (SEED=$seed); disk and consoles are in $work"
    done
}

# is_found_out part preload: a careless one loses something within five cuts.
is_found_out() {
    local part=$1 preload=$2 cut seconds
    for cut in 1 2 3 4 5; do
        new_disk
        seconds=$(moment)
        run_and_cut "$part" "$preload" "$seconds" "$work/console-1"
        if ! check "$part" "$work/console-1" >"$work/loss" 2>&1; then
            say "$part${preload:+ whose fsync does nothing} is found out: $(grep -m1 . "$work/loss")"
            return 0
        fi
    done
    fail "$part loses nothing though it is careless: these cuts prove nothing"
}

began=$SECONDS
is_found_out careless-store ''
is_found_out outbox /lib/libeatmydata.so
survives store
survives outbox
say "nothing lost in $cuts cuts of the store and $cuts of the outbox, in $(((SECONDS - began) / 60)) min"
