#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job: three virtual machines, kills under load, a verdict.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm

check_status 'the run passes' 0 "$ordeal" run \
    reservation_contention-crash-restart --window 60s
sed 's/^/# /' "$work/out"
bundle=$work/runs/latest
manifest=$bundle/manifest.json
check 'status is passed' json_is "$manifest" 'j["status"] == "passed"'
# at_least NAME NUMBER: evidence of the manifest.
at_least() {
    json_is "$manifest" \
        "[e['value'] for e in j['evidence'] if e['name'] == '$1'][0] >= $2"
}
check 'at least 6 kills are proven' at_least faults_confirmed 6
check 'at least 4 hit the primary' at_least primary_hits 4
check 'at least 8 attempts ended unknown' at_least unknown_attempts 8
check 'every operation has a recorded answer' json_is "$bundle/analysis.json" \
    'j["evidence"]["ambiguities"]["open"] == 0'
check_status 'the bundle judges the same again' 0 "$ordeal" check "$bundle"
check 'the hashes of the manifest hold' python3 - "$bundle" <<'END'
import hashlib, json, os, sys
b = sys.argv[1]
m = json.load(open(b + "/manifest.json"))
for f in m["files"]:
    h = hashlib.sha256(open(os.path.join(b, f["path"]), "rb").read()).hexdigest()
    assert h == f["sha256"], f["path"]
assert any(f["path"] == "history.ordeal" for f in m["files"])
END
no_secret() { ! grep -rlE 'PRIVATE KEY' "$bundle/"; }
check 'no private key is in the bundle' no_secret
check 'no virtual machine is left' nothing_left
done_testing
