#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Power cuts of all machines and of majorities: a replica that acknowledges
# before it flushes is found.  The honest one is a row of gate.sh.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm
caught() {
    for _ in 1 2 3; do
        "$ORDEAL_SRCDIR/tests/e2e/bug-matrix" --seeds 1 --window 60s \
            --bugs no-fsync --output "$work/runs" >"$work/table" 2>&1
        sed 's/^/# /' "$work/table" >&3
        grep -q '^no-fsync .* caught' "$work/table" && return 0
        grep -q 'MISSED$' "$work/table" || break
    done
    cat "$work/table"
    return 1
}
check 'no-fsync is caught' caught 3>&1
done_testing
