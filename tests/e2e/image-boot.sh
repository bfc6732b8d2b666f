#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The guest image alone, with plain QEMU: everything docs/GUEST.md promises.
#
# Functions are called by 'check'; '$' in quotes is for the guest's shell.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"

for tool in qemu-system-x86_64 ssh ssh-keygen sftp tar od; do
    command -v "$tool" >/dev/null || skip_all "no $tool"
done
programs=$ORDEAL_BUILDDIR/vm-images
image=$("$ORDEAL_SRCDIR/vm-images/build-image.sh" \
    --init "$programs/ordeal-init" --svc "$programs/ordeal-svc" path \
    2>/dev/null) || skip_all 'no guest image (ordeal image build)'

qemu=
trap 'guest_cut; rm -rf "$work"' EXIT

now_ms() {
    date +%s%3N
}

# The configuration archive of one node, made of three files.
config_make() {
    mkdir -p "$work/config"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/host"
    ssh-keygen -q -t ed25519 -N '' -C run -f "$work/key"
    ssh-keygen -q -t ed25519 -N '' -C stranger -f "$work/stranger"
    cat >"$work/config/network" <<END
mgmt 10.0.2.15/24 10.0.2.2
cluster 10.77.0.11/24
neighbour 10.77.0.11 52:54:00:63:6c:01
neighbour 10.77.0.12 52:54:00:63:6c:02
hostname n1
END
    cp "$work/host" "$work/config/ssh_host_ed25519_key"
    cp "$work/key.pub" "$work/config/authorized_keys"
    tar -C "$work/config" --format=ustar -cf "$work/config.tar" \
        network ssh_host_ed25519_key authorized_keys
    known_hosts "$work/host.pub" >"$work/known_hosts"
    known_hosts "$work/stranger.pub" >"$work/known_strangers"
}
known_hosts() {
    printf 'node %s\n' "$(cut -d' ' -f1-2 "$1")"
}

# guest_qemu PORT: the virtual machine, as a provider would make it.
guest_qemu() {
    exec qemu-system-x86_64 -nodefaults -no-user-config -no-reboot \
        -machine q35,accel=tcg -cpu max -m 192 -display none \
        -serial "file:$work/console" \
        -kernel "$image/vmlinuz" -initrd "$image/initrd" -append "$cmdline" \
        -drive "if=none,id=r,format=raw,readonly=on,file=$image/root.img" \
        -device virtio-blk-pci,drive=r,serial=ordeal-root \
        -drive "if=none,id=c,format=raw,readonly=on,file=$work/config.tar" \
        -device virtio-blk-pci,drive=c,serial=ordeal-config \
        -drive "if=none,id=d,format=raw,file=$work/data.img" \
        -device virtio-blk-pci,drive=d,serial=ordeal-data \
        -netdev "user,id=m,restrict=on,hostfwd=tcp:127.0.0.1:$1-:22" \
        -device virtio-net-pci,netdev=m,mac=52:54:00:6d:67:01,romfile= \
        -netdev hubport,id=cl,hubid=1 \
        -device virtio-net-pci,netdev=cl,mac=52:54:00:63:6c:01,romfile=
}
cmdline='console=ttyS0 quiet panic=-1 no_timer_check cryptomgr.notests'
cmdline="$cmdline mitigations=off ordeal.node=n1"

# Starts it on a free port and waits for SSH; boot_ms is how long that took.
guest_start() {
    for try in 1 2 3 4 5; do
        port=$((20000 + ($$ * 7 + try * 331) % 20000))
        begun=$(now_ms)
        guest_qemu "$port" 2>"$work/qemu.err" &
        qemu=$!
        guest_wait && return 0
        guest_cut
        grep -q 'Could not set up host forwarding' "$work/qemu.err" || break
    done
    tail -n 5 "$work/qemu.err" "$work/console"
    return 1
}
guest_wait() {
    while [ $(($(now_ms) - begun)) -lt 60000 ]; do
        kill -0 "$qemu" 2>/dev/null || return 1
        if guest true 2>/dev/null; then
            boot_ms=$(($(now_ms) - begun))
            return 0
        fi
        sleep 0.1
    done
    return 1
}

# The power cut.
guest_cut() {
    [ -n "$qemu" ] || return 0
    kill -9 "$qemu" 2>/dev/null
    wait "$qemu" 2>/dev/null
    qemu=
}

# guest COMMAND: in the guest, by its shell, with the pinned host key.
guest() {
    guest_ssh "$work/key" "$work/known_hosts" "$1"
}
guest_ssh() {
    ssh -F none -p "$port" -i "$1" -o UserKnownHostsFile="$2" \
        -o GlobalKnownHostsFile=none -o HostKeyAlias=node \
        -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes \
        -o IdentityAgent=none -o BatchMode=yes -o ConnectTimeout=2 \
        -o ServerAliveInterval=5 -o LogLevel=ERROR root@127.0.0.1 "$3"
}
guest_sftp() {
    sftp -q -F none -P "$port" -i "$work/key" -b "$1" -o HostKeyAlias=node \
        -o UserKnownHostsFile="$work/known_hosts" -o IdentitiesOnly=yes \
        -o StrictHostKeyChecking=yes root@127.0.0.1
}

# guest_says COMMAND TEXT: it prints exactly that.
guest_says() {
    said=$(guest "$1") || return 1
    [ "$said" = "$2" ] && return 0
    printf 'it says:\n%s\n' "$said"
    return 1
}
# status_has NAME KEY VALUE: within five seconds, in 'svc status'.
status_has() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        guest "svc status $1" >"$work/status" || return 1
        [ "$(json "$work/status" "j['$2']")" = "$3" ] && return 0
        sleep 0.5
    done
    cat "$work/status"
    return 1
}
not() {
    ! "$@"
}

config_make
truncate -s 256M "$work/data.img"
check 'a guest boots and SSH answers' guest_start
[ -n "$qemu" ] || {
    done_testing
}
note "SSH answered after $boot_ms ms"
tap_boot_id=$(guest 'cat /proc/sys/kernel/random/boot_id')

check 'another host key is not accepted' \
    not guest_ssh "$work/key" "$work/known_strangers" true
check 'a stranger does not get in' \
    not guest_ssh "$work/stranger" "$work/known_hosts" true
methods() {
    guest_ssh /dev/null "$work/known_hosts" true 2>&1 |
        grep -q 'Permission denied (publickey)'
}
check 'keys are the only way in' methods
listeners="netstat -ln | grep -E '^(tcp|udp)' | tr -s ' ' | cut -d' ' -f4"
check 'only the SSH server listens, on mgmt' \
    guest_says "$listeners" 10.0.2.15:22

check 'hostname' guest_says hostname n1
check 'addresses' guest_says \
    "ip -br -4 address | tr -s ' ' | sed 's/ \$//'" \
    'lo UNKNOWN 127.0.0.1/8
mgmt UP 10.0.2.15/24
cluster UP 10.77.0.11/24'
check 'no IPv6' not guest 'ip address | grep inet6'
check 'the permanent neighbour of the cluster' \
    guest_says 'ip neighbour show dev cluster | sed "s/ *$//"' \
    '10.77.0.12 lladdr 52:54:00:63:6c:02 PERMANENT'
check 'the root is read-only' not guest 'touch /x'
check 'the data disk is an ext4 file system' \
    guest "grep -q ' /data ext4 rw' /proc/mounts"

check 'svc start' guest 'svc start d --dir /data/opt -- sleep 1000'
check 'runs in its directory, as a session of its own' \
    guest 'p=$(pidof sleep) && [ "$(readlink /proc/$p/cwd)" = /data/opt ] &&
        [ "$(cut -d" " -f6 /proc/$p/stat)" = "$p" ]'
check 'status is running' status_has d state running
check 'a second start is refused' not guest 'svc start d -- sleep 1'
check 'SIGSTOP' guest 'svc signal d STOP'
check 'status is stopped' status_has d state stopped
check 'SIGCONT' guest 'svc signal d CONT'
check 'kill -9 by hand' guest 'kill -9 "$(pidof sleep)"'
check 'status is exited' status_has d state exited
check 'with that signal' status_has d exit_signal 9
check 'start again' guest 'svc start d -- sleep 1000'
check 'counted' status_has d starts 2
check 'svc stop' guest 'svc stop d'
check 'ended by SIGTERM' status_has d exit_signal 15
check 'a daemon that ignores SIGTERM is told so' guest \
    'svc start i -- sh -c "trap : TERM; echo ready; while :; do sleep 1; done"
     until grep -q ready /data/log/i.log; do sleep 0.1; done
     ! svc stop i --timeout 1 && svc signal i KILL'
check 'and is gone after SIGKILL' status_has i exit_signal 9
check 'a crash leaves a core' guest \
    'svc start c -- sh -c "kill -SEGV \$\$" && sleep 1
     ls /data/core/core.sh.*'
check 'and its signal' status_has c exit_signal 11
check 'svc without arguments is a usage error' \
    guest_says 'svc 2>/dev/null; echo $?' 2
check 'starts and ends are on the console' \
    grep -q '^init: service d: pid [0-9]* ended, signal 9' "$work/console"

check 'orphans are reaped' guest \
    'for i in 1 2 3 4 5 6 7 8; do sh -c "sleep 0.3 &"; done; sleep 1
     ! grep -l "^State:.Z" /proc/[0-9]*/status'
check 'the SSH server comes back when it is killed' guest \
    'kill -9 "$(cat /run/ordeal/ssh.pid)"; sleep 2; netstat -ltn | grep :22'

check 'nft adds a table' guest \
    'nft add table inet ordeal_t && nft add chain inet ordeal_t in \
        "{ type filter hook input priority 0; }" &&
     nft add rule inet ordeal_t in iifname cluster ip saddr 10.77.0.12 \
        counter drop && nft list table inet ordeal_t | grep -q "counter packets"'
check 'and deletes it' guest \
    'nft delete table inet ordeal_t && ! nft list tables | grep .'
check 'tc adds netem' guest \
    'tc qdisc add dev cluster root netem delay 50ms 10ms distribution normal \
        loss 1% && tc qdisc show dev cluster | grep -q netem'
check 'and deletes it' guest \
    'tc qdisc del dev cluster root && ! tc qdisc show dev cluster | grep netem'
check 'tc adds and deletes tbf' guest \
    'tc qdisc add dev cluster root tbf rate 1mbit burst 32kbit latency 400ms &&
     tc qdisc del dev cluster root'

head -c 1000000 /dev/urandom >"$work/sent"
printf 'put %s /data/opt/file\nget /data/opt/file %s\n' \
    "$work/sent" "$work/received" >"$work/batch"
check 'SFTP puts and gets' guest_sftp "$work/batch"
check 'the same bytes' cmp "$work/sent" "$work/received"

replica=$ORDEAL_BUILDDIR/ordeal-replica
if [ ! -x "$replica" ]; then
    note 'no ordeal-replica in this build tree'
elif ! readelf -d "$replica" | grep -qE 'lib(a|ub)san'; then
    printf 'put %s /data/opt/ordeal-replica\n' "$replica" >"$work/batch"
    check 'the replica is installed' guest_sftp "$work/batch"
    check 'and finds its libraries' guest '/data/opt/ordeal-replica --help'
fi

check 'a file is synced' guest 'echo kept >/data/opt/kept && sync'
guest_cut
check 'boot after a power cut' guest_start
check 'the data disk survived' guest_says 'cat /data/opt/kept' kept
check 'its journal was replayed' guest \
    'dmesg | grep "EXT4-fs (vdc): recovery complete"'
check 'the boot id is another' not guest_says \
    'cat /proc/sys/kernel/random/boot_id' "$tap_boot_id"
check 'no daemon was started unasked' guest_says 'svc status' ''
guest 'svc start d -- sh -c "trap \"echo ended; exit\" TERM; echo ready
    while :; do sleep 0.2; done"
    until grep -q ready /data/log/d.log; do sleep 0.1; done
    reboot' >/dev/null 2>&1
guest_ends() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        kill -0 "$qemu" 2>/dev/null || {
            wait "$qemu"
            qemu=
            return 0
        }
        sleep 1
    done
    return 1
}
check 'an orderly reboot ends' guest_ends
check 'boot after it' guest_start
check 'daemons were asked to end first' \
    guest_says 'tail -n 1 /data/log/d.log' ended
check 'and /data was unmounted' \
    not guest 'dmesg | grep "EXT4-fs (vdc): recovery complete"'
guest_cut

# What is neither blank nor a file system may be evidence.
printf damaged | dd of="$work/data.img" bs=1 seek=1080 conv=notrunc 2>/dev/null
sha256sum "$work/data.img" >"$work/data.sum"
check 'boot with a damaged data disk' guest_start
check 'it is not mounted' not guest 'grep " /data " /proc/mounts'
guest_cut
check 'and not touched' sha256sum -c "$work/data.sum"
done_testing
