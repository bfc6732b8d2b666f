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
check 'at least 6 kills are proven' json_is "$bundle/report.json" \
    'j["faults_summary"]["confirmed"] >= 6'
check 'at least 4 hit the primary' json_is "$bundle/report.json" \
    'j["faults_summary"]["primary_hits"] >= 4'
check 'at least 8 attempts ended unknown' json_is "$bundle/report.json" \
    'j["attempts"]["unknown"] >= 8'
check 'every operation has a recorded answer' json_is "$bundle/report.json" \
    'j["operations"]["open"] == 0'
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
