#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The driver is interrupted, terminated and killed: what is recorded stays,
# nothing else does.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm
scenario=reservation_contention-crash-restart

# start SECONDS PHASE: a run in the background, that long into its phase.
start() {
    rm -rf "$work/runs"
    "$ordeal" run "$scenario" --window 300s >"$work/out" 2>"$work/err" &
    run=$!
    for _ in $(seq 240); do
        grep -q "\"phase\": *\"$2\"" "$work/runs/current/status.json" 2>/dev/null && break
        kill -0 "$run" 2>/dev/null || break
        sleep 0.5
    done
    sleep "$1"
}

not() {
    ! "$@"
}

# driver_of: the process that writes the history, as the bundle names it.
driver_of() {
    json "$work/runs/current/status.json" 'j["pid"]'
}

start 1 provision
kill -TERM "$run"
wait "$run"
status=$?
check 'SIGTERM while machines boot ends the run as insufficient' [ "$status" = 4 ]
check 'and says why' grep -q 'interrupted by a signal' "$work/err"
check 'and no booting machine is left' nothing_left

start 8 load
kill -TERM "$run"
wait "$run"
status=$?
check 'SIGTERM ends the run as insufficient' [ "$status" = 4 ]
check 'with a sealed bundle' json_is "$work/runs/latest/manifest.json" \
    'j["status"] == "insufficient"'
check 'and no virtual machine is left' nothing_left

# helpers_of PID: the processes that carry its clients' hosts.
helpers_of() {
    for p in /proc/[0-9]*; do
        grep -q "^PPid:[[:space:]]*$1\$" "$p/status" 2>/dev/null &&
            [ "$(cat "$p/comm" 2>/dev/null)" = ordeal-ns-port ] && echo "${p#/proc/}"
    done
}
# alive PID...: one of them runs.
alive() {
    for p in "$@"; do
        [ -n "$(tr -d '\0' <"/proc/$p/cmdline" 2>/dev/null)" ] && return 0
    done
    return 1
}

start 10 load
driver=$(driver_of)
helpers=$(helpers_of "$driver")
if json_is "$work/runs/current/status.json" 'j["client_hosts"] > 0' >/dev/null; then
    check 'clients have hosts in the cluster network' [ -n "$helpers" ]
fi
kill -KILL "$driver"
wait "$run" 2>/dev/null
sleep 1
# shellcheck disable=SC2086
check 'hosts of clients end with the driver' not alive $helpers
check 'after SIGKILL the history can be read' "$ordeal" history stat \
    "$work/runs/current/history.ordeal"
check 'recover ends what is left' "$ordeal" recover --output "$work/runs"
check 'no virtual machine is left after recover' nothing_left
check 'recover a second time has nothing to do' "$ordeal" recover --output "$work/runs"
check 'the bundle says that the driver died' json_is \
    "$work/runs/latest/manifest.json" 'j["status"] == "infra"'
# Valid as far as it goes, or unknown for what stayed open; nothing worse.
judged() {
    "$ordeal" check "$work/runs/latest"
    status=$?
    [ "$status" = 0 ] || [ "$status" = 2 ]
}
check 'what was recorded is judged' judged
done_testing
