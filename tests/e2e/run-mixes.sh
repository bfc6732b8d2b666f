#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Scheduled runs over whole families of faults on virtual machines: clocks,
# machines, disks and files, frames that are wrong with good checksums.  Each
# kind is confirmed at least once, every fault that acted is confirmed and
# healed, and the honest replica passes.  (On a busy host the last of a plan may
# find too little of the window left.)
#
#   run-mixes.sh [NEMESIS...]     only these
#
# Functions are called by 'check'.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm

# how NEMESIS: seed, window and the kinds that must have acted.
how() {
    case $1 in
    clock) echo 1 75s clock-bump clock-strobe clock-drift clock-freeze ;;
    machines) echo 3 110s vm-pause vm-link-down vm-reset vm-balloon vm-nmi vm-throttle ;;
    disks-and-files) echo 3 120s disk-slow file-flip disk-fill disk-error \
        file-truncate cpu-pressure disk-stall file-rollback disk-full \
        memory-pressure ;;
    corrupted-frames) echo 2 75s net-corrupt ;;
    *) return 1 ;;
    esac
}

# every BUNDLE KIND...: each fault that acted was confirmed and healed, and each
# kind is among them.
every() {
    python3 - "$@" <<'END_PYTHON'
import json, sys

bundle, kinds, lives, bad = sys.argv[1], sys.argv[2:], {}, 0
for line in open(bundle + "/faults.jsonl"):
    s = json.loads(line)
    life = lives.setdefault(s["id"], {"fault": s["fault"]})
    life["stage"] = s["stage"] + (" " + s["error"] if "error" in s else "")
    if "result" in s:
        life[s["stage"]] = s["result"]
        if s["result"] != "confirmed":
            life["evidence"] = s["evidence"]
for number, life in sorted(lives.items()):
    if life["stage"].startswith("skipped"):
        print("fault", number, life)
        continue
    for proof in ("proved", "proved_before_heal", "proved_healed"):
        if life.get(proof) != "confirmed":
            print("fault", number, life)
            bad += 1
            break
for kind in kinds:
    if kind not in [life["fault"] for life in lives.values()
                    if life.get("proved_healed") == "confirmed"]:
        print("none of kind", kind)
        bad += 1
print(len(lives), "faults")
sys.exit(bad > 0)
END_PYTHON
}

# One of the replicas noticed, by the metrics or the logs that were collected.
noticed() {
    grep -h '^ordeal_replica_peer_frames_corrupt_total [1-9]' \
        "$1"/nodes/*/metrics.txt ||
        grep -h 'bad checksum' "$1"/nodes/*/*.log | head -n 3 | grep .
}

# mix NEMESIS SEED WINDOW KIND...
mix() {
    nemesis=$1 seed=$2 window=$3
    shift 3
    check_status "$nemesis: the honest replica passes" 0 "$ordeal" run \
        "reservation_contention-$nemesis" --window "$window" --seed "$seed" \
        --output "$work/$nemesis"
    sed 's/^/# /' "$work/out"
    check "$nemesis: each kind acted, every fault was confirmed and healed" \
        every "$work/$nemesis/latest" "$@"
    if [ "$nemesis" = corrupted-frames ]; then
        check 'the replicas noticed by their own checksums' \
            noticed "$work/$nemesis/latest"
    fi
    check "$nemesis: nothing is left" nothing_left
}

[ $# -gt 0 ] || set -- clock machines disks-and-files corrupted-frames
for nemesis in "$@"; do
    # shellcheck disable=SC2046
    mix "$nemesis" $(how "$nemesis")
done
done_testing
