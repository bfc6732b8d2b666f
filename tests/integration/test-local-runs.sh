#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Real replicas as local processes: the clean one passes with each kind of
# harm, each planted bug is caught.  Four runs at a time, about two minutes.
set -u
# shellcheck source=tests/lib/tap.sh disable=SC1091
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
work=${work:?}

run_local=${ORDEAL_BUILDDIR:?}/run-local
window=16

# start NAME ARG...: in the background; its output and status go to files.
start() {
    start_name=$1
    shift
    (
        cd "$work" || exit 99
        "$run_local" --window "$window" --interval 4 "$@" \
            >"$work/$start_name.txt" 2>&1
        echo $? >"$work/$start_name.status"
    ) &
}

as_expected() {
    [ "$(cat "$work/$1.status")" = 0 ] && return 0
    cat "$work/$1.txt"
    tail -n 3 "$work"/run-local-*/*.log
    return 1
}

# caught BUG: one short run may miss a bug that shows only at certain moments;
# then a longer one, alone, must not.
caught() {
    as_expected "$1" && return 0
    window=40
    start "$1" --seed 4 --bug "$1"
    wait
    as_expected "$1"
}

for harm in none kill isolate pause; do
    start "$harm" --seed 1 --harm "$harm"
done
wait
for bug in stale-read ack-before-commit forget-operations \
    lost-write-on-failover; do
    start "$bug" --seed 2 --bug "$bug"
done
wait
# Every other workload, under a harm that suits it.
for run in ambiguous_write_retry:mixed failover_read_fences:isolate \
    expiration_and_recovery:kill lease_safety:pause; do
    start "${run%:*}" --seed 5 --workload "${run%:*}" --harm "${run#*:}"
done
wait
for run in retry_pressure:kill quota:isolate pool_holds:mixed \
    block_register:point; do
    start "${run%:*}" --seed 5 --workload "${run%:*}" --harm "${run#*:}"
done
wait
window=10
for bug in double-allocation early-expiry ignore-epoch partial-bundle; do
    start "$bug" --seed 3 --bug "$bug"
done
wait
for bug in overspend overcommit stale-cas tick-on-backup; do
    start "$bug" --seed 3 --bug "$bug"
done
wait

for harm in none kill isolate pause; do
    check "nothing is found in a clean replica, harm '$harm'" \
        as_expected "$harm"
done
for workload in ambiguous_write_retry failover_read_fences \
    expiration_and_recovery lease_safety retry_pressure quota pool_holds \
    block_register; do
    check "nothing is found under the workload '$workload'" \
        as_expected "$workload"
done
for bug in stale-read double-allocation forget-operations early-expiry \
    ack-before-commit ignore-epoch partial-bundle overspend overcommit \
    stale-cas tick-on-backup lost-write-on-failover; do
    check "the bug '$bug' is caught" caught "$bug"
done
done_testing
