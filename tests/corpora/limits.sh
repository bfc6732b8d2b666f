#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A history that nobody decides: the deadline, the byte cap and SIGTERM end the
# check as unknown, with what was found out until then.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"

python3 - "$work/hard.tsv" <<'END'
import importlib.machinery, importlib.util, os, sys
sys.dont_write_bytecode = True
path = os.path.join(os.environ["ORDEAL_SRCDIR"], "tests/bench/plot-scaling")
loader = importlib.machinery.SourceFileLoader("plot", path)
plot = importlib.util.module_from_spec(
    importlib.util.spec_from_loader("plot", loader))
loader.exec_module(plot)
plot.play(sys.argv[1], 8000, 50, 150, True)
END

# field NAME: of the last result.
field() {
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' \
        "$work/out" "$1"
}
says_why() {
    grep -q '"reason": "[^"]*calls of unknown outcome' "$work/out" &&
        [ "$(field decided_prefix)" -gt 0 ] && [ "$(field open_undecided)" -gt 0 ]
}
below() {
    [ "$(field engine_peak_bytes)" -le "$1" ]
}

check_status 'a deadline ends it as unknown' 2 "$ordeal" check "$work/hard.tsv" \
    --deadline 1s --format json
check 'with the reason, the explained prefix and what is open' says_why
check_status 'a small byte cap ends it as unknown' 2 "$ordeal" check \
    "$work/hard.tsv" --deadline 60s --memory 1M --format json
check 'and is never exceeded' below 1048576

"$ordeal" check "$work/hard.tsv" --deadline 300s --format json >"$work/out" 2>"$work/err" &
checking=$!
sleep 2
kill -TERM "$checking"
wait "$checking"
status=$?
check 'SIGTERM ends it as unknown' [ "$status" = 2 ]
check 'and what was found out is printed' says_why
done_testing
