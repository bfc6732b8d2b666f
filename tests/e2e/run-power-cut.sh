#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Power cuts of all machines and of majorities: the honest replica loses nothing
# that it acknowledged, and one that acknowledges before it flushes is found.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm
scenario=reservation_contention-power-cut

check_status 'the honest replica passes' 0 \
    "$ordeal" run "$scenario" --window 60s --seed 21 --output "$work/honest"
bundle=$work/honest/latest
check 'at least two power cuts were proven' json_is "$bundle/manifest.json" \
    'sum(e["value"] for e in j["evidence"] if e["name"] == "faults_confirmed") >= 2'
check 'what each disk lost is in the bundle' \
    sh -c "ls '$bundle'/nodes/n1/cut-1.txt '$bundle'/nodes/n2/cut-1.txt"

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
