#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A daemon that crashes by itself is a violation of the system: never "infra",
# never hidden.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm

"$ordeal" run reservation_contention-control --window 25s >"$work/out" 2>"$work/err" &
run=$!
for _ in $(seq 240); do
    grep -q '"phase": *"load"' "$work/runs/current/status.json" 2>/dev/null && break
    kill -0 "$run" 2>/dev/null || break
    sleep 0.5
done
sleep 3
dir=$(json "$work/runs/current/status.json" 'j["runtime_dir"]')
check 'a replica aborts under load' "$ordeal" exec --cluster "$dir" n2 -- \
    svc signal replica 6
wait "$run"
status=$?
sed 's/^/# /' "$work/out"
manifest=$work/runs/latest/manifest.json
fired() {
    json_is "$manifest" \
        "any(c['checker'] == '$1' and c['verdict'] == 'invalid' for c in j['checkers'])"
}
check 'the run ends in a violation' [ "$status" = 1 ]
check 'unexpected_exit names it' fired unexpected_exit
check 'the witness names node and signal' grep -q 'n2: service replica: .*signal 6' "$work/out"
check 'availability is judged too' fired availability
check 'nothing is left' nothing_left
done_testing
