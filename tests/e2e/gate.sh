#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A gate over two lanes: a clean run and a planted bug; killed in the middle, it
# is continued; what it leaves is a table, claims and nothing else.  And a run of
# a system that is described by a YAML file.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm

cat >"$work/suite.yaml" <<'END'
id: two-rows
runs:
  - scenario: reservation_contention-control
    window: 5s
  - scenario: reservation_contention-control
    window: 10s
    bug: double-allocation
END

"$ordeal" gate "$work/suite.yaml" --lanes 2 >"$work/out" 2>"$work/err" &
gate=$!
for _ in $(seq 240); do
    grep -qs '"phase": *"load"' "$work"/runs/*/*/status.json && break
    kill -0 "$gate" 2>/dev/null || break
    sleep 0.5
done
kill -KILL "$gate"
wait "$gate" 2>/dev/null
state=$(echo "$work"/runs/gates/two-rows-*/gate.json)
check 'a killed gate has rows that are running' json_is "$state" \
    '"running" in [r["state"] for r in j["rows"]]'

check_status 'it is continued to its end' 0 "$ordeal" gate --resume last --lanes 2
check 'each row is done and passed' json_is "$state" \
    '[(r["state"], r["status"]) for r in j["rows"]] == [("done", "passed")] * 2'
check 'what was interrupted was started again' json_is "$state" \
    'any(len(r["attempts"]) > 1 for r in j["rows"])'
check 'a shortened window proves no claim' json_is "$state" \
    'all(c["state"] != "PROVEN" for c in j["claims"])'
check 'there is a table' grep -q 'double-allocation' "${state%/*}/summary.md"
check 'and JUnit without failures' grep -q 'failures="0" errors="0"' \
    "${state%/*}/junit.xml"
check_status 'a finished gate cannot be resumed as the last' 64 \
    "$ordeal" gate --resume last

# A daemon that the driver knows only by a YAML file.
cat >"$work/mine.yaml" <<END
binary: $ORDEAL_BUILDDIR/ordeal-replica
arguments: [--node, "{node}", --cluster, "{cluster}", --data, "{data}",
            --listen, "0.0.0.0:{client_port}",
            {each: [--peer, "{node}={address}:{peer_port}"]}]
first_start: [--new-cluster]
capabilities: [allocator]
END
check_status "a user's own daemon passes a run" 0 "$ordeal" run \
    reservation_contention-control --window 5s --system "$work/mine.yaml"
check 'as system custom' json_is "$work/runs/latest/manifest.json" \
    'j["system"] == "custom"'
check 'nothing is left' nothing_left
done_testing
