#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The suite of continuous integration over two lanes: killed in the middle, it is
# continued; every honest row passes and the planted bug is found; what it leaves
# is a table, claims, whole bundles and nothing else.  And a run of a system that
# is described by a YAML file.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm

"$ordeal" gate ci --lanes 2 >"$work/out" 2>"$work/err" &
gate=$!
for _ in $(seq 240); do
    grep -qs '"phase": *"load"' "$work"/runs/*/*/status.json && break
    kill -0 "$gate" 2>/dev/null || break
    sleep 0.5
done
kill -KILL "$gate"
wait "$gate" 2>/dev/null
state=$(echo "$work"/runs/gates/ci-*/gate.json)
check 'a killed gate has rows that are running' json_is "$state" \
    '"running" in [r["state"] for r in j["rows"]]'

check_status 'it is continued to its end' 0 "$ordeal" gate --resume last --lanes 2
sed 's/^/# /' "${state%/*}/summary.md"
check 'each row is done and passed' json_is "$state" \
    'all((r["state"], r["status"]) == ("done", "passed") for r in j["rows"])'
check 'what was interrupted was started again' json_is "$state" \
    'any(len(r["attempts"]) > 1 for r in j["rows"])'
check 'a shortened window proves no claim' json_is "$state" \
    'all(c["state"] != "PROVEN" for c in j["claims"])'
check 'there is a table' grep -q 'double-allocation' "${state%/*}/summary.md"
check 'and JUnit without failures' grep -q 'failures="0" errors="0"' \
    "${state%/*}/junit.xml"
check_status 'a finished gate cannot be resumed as the last' 64 \
    "$ordeal" gate --resume last

# bundle_of SCENARIO: that of its last attempt.
bundle_of() {
    json "$state" "[r for r in j['rows'] if r['scenario'] == '$1'][0]['attempts'][-1]['bundle']"
}
bundle=$(bundle_of expiration_and_recovery-crash-restart)
check_status 'a bundle judges the same again' 0 "$ordeal" check "$bundle"
check 'every operation has a recorded answer' json_is "$bundle/analysis.json" \
    'j["evidence"]["ambiguities"]["open"] == 0'
check 'the hashes of the manifest hold' python3 - "$bundle" <<'END'
import hashlib, json, os, sys
b = sys.argv[1]
m = json.load(open(b + "/manifest.json"))
for f in m["files"]:
    h = hashlib.sha256(open(os.path.join(b, f["path"]), "rb").read()).hexdigest()
    assert h == f["sha256"], f["path"]
assert any(f["path"] == "history.ordeal" for f in m["files"])
END
no_secret() { ! grep -rlE 'PRIVATE KEY' "$work/runs/"; }
check 'no private key is in any bundle' no_secret
bundle=$(bundle_of reservation_contention-power-cut)
check 'what disks lost in a power cut is in the bundle' \
    sh -c "ls '$bundle'/nodes/n*/cut-1.txt"

# A run in which nearly nothing happens is no evidence, however short.
check_status 'a run with too little of everything is insufficient' 4 \
    "$ordeal" run reservation_contention-control --window 10s --rate 2
check 'and says of what' grep -q 'operations .* TOO FEW' "$work/out"

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
