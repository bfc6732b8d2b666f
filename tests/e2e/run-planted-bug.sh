#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Planted bugs are found on virtual machines, by the checkers that must fire and
# no others.  tests/e2e/bug-matrix tries all of them with many seeds.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm

"$ORDEAL_SRCDIR/tests/e2e/bug-matrix" --seeds 1 --window 40s \
    --bugs 'stale-read double-allocation' --output "$work/runs" >"$work/table" 2>&1
sed 's/^/# /' "$work/table"
for bug in stale-read double-allocation; do
    check "$bug is caught" grep -q "^$bug .* caught" "$work/table"
done
done_testing
