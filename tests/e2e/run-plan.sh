#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Faults aimed at events of the system and of its clients, on virtual machines;
# then the plan of that run is given back and replayed: the same faults, on the
# same targets, at the same offsets.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm
scenario=failures_short_log-aimed

# Offsets are of the step before the act (journalled), from the begin of the
# window.  One nemesis does one step after the other, so a fault may come as much
# later as a step of another takes; beyond that it must not be late.
tolerance_ms=3000

check_status 'the honest replica passes under aimed faults' 0 \
    "$ordeal" run "$scenario" --seed 11 --output "$work/first"
sed 's/^/# /' "$work/out"
first=$work/first/latest
check 'the plan is in the bundle' [ -s "$first/plan.json" ]

# lives BUNDLE: one line a fault of its faults.jsonl.
lives() {
    python3 - "$1" <<'END_PYTHON'
import json, sys

lives, start, before = {}, 0, 0
for line in open(sys.argv[1] + "/faults.jsonl"):
    s = json.loads(line)
    life = lives.setdefault(s["id"], {"stages": []})
    life["stages"].append(s["stage"])
    if s["stage"] == "planned":
        start = s["time_ns"]
        life["what"] = [s["fault"], s["target"], s["params"]]
    elif s["stage"] == "triggered":
        life["cause"] = s["cause"].split(" by process")[0].split(" at ")[0]
        life["node"] = s["cause"].split(" at ")[-1].split(" ")[0]
    elif s["stage"] == "journalled":
        life["ms"] = (s["time_ns"] - start) // 1000000
        life["free_ms"] = (before - start) // 1000000
        life["nodes"], life["primary"] = s["nodes"], s["primary"]
    elif s["stage"] in ("proved", "proved_before_heal", "proved_healed"):
        life[s["stage"]] = s["result"]
    elif s["stage"] == "skipped":
        life["error"] = s["error"]
    before = s["time_ns"]
plan = json.load(open(sys.argv[1] + "/plan.json"))
for fault in plan["faults"]:
    life = lives[fault["id"]]
    life["at_ms"] = fault["at_ms"] if "on" not in fault else None
    life["on"] = fault.get("on")
    print(fault["id"], json.dumps(life, sort_keys=True))
END_PYTHON
}

# each BUNDLE CONDITION: it is true of each of its faults 'f'.
each() {
    lives "$1" >"$work/lives" || return 1
    python3 - "$work/lives" "$2" "$tolerance_ms" <<'END_PYTHON'
import json, sys

bad, tolerance = 0, int(sys.argv[3])
for line in open(sys.argv[1]):
    number, life = line.split(" ", 1)
    f = json.loads(life)
    if not eval(sys.argv[2]):
        print("fault", number, life)
        bad += 1
sys.exit(bad > 0)
END_PYTHON
}

# of_run BUNDLE: what holds of both.
of_run() {
    check 'each fault was injected, and its effect confirmed at both ends' \
        each "$1" 'f.get("proved") == f.get("proved_before_heal") == "confirmed"'
    check 'each was healed' each "$1" 'f.get("proved_healed") == "confirmed"'
    check 'aimed ones were set off by what they wait for' each "$1" \
        'f["on"] is None or f["cause"].split()[0] in f["on"].values()'
    check 'those with the target event hit the node that it names' each "$1" \
        'f["what"][1] != "event" or f.get("nodes") == [f["node"]]'
    check 'those with a moment came at it, or when the nemesis was free' each "$1" \
        'f["at_ms"] is None or f["at_ms"] <= f.get("ms", -1) <= max(f["at_ms"], f["free_ms"]) + tolerance'
    lives "$1" | while read -r number life; do
        note "$number $(echo "$life" | cut -c1-400)"
    done
}
of_run "$first"

check_status 'the plan is replayed, and the replica passes again' 0 \
    "$ordeal" run "$scenario" --plan "$first/plan.json" --output "$work/second"
second=$work/second/latest
of_run "$second"
check 'both bundles have the same plan' cmp "$first/plan.json" "$second/plan.json"

# A target by role is the same role; all others are the same nodes.
same() {
    lives "$first" >"$work/lives.1" && lives "$second" >"$work/lives.2" || return 1
    python3 - "$work/lives.1" "$work/lives.2" <<'END_PYTHON'
import json, sys

a, b = ([line.split(" ", 1) for line in open(p)] for p in sys.argv[1:3])
bad = len(a) != len(b)
for (number, x), (other, y) in zip(a, b):
    x, y = json.loads(x), json.loads(y)
    role = x["what"][1] in ("primary", "event")
    if (number != other or x["what"] != y["what"] or
            x.get("cause") != y.get("cause") or
            (not role and x.get("nodes") != y.get("nodes")) or
            (x["what"][1] == "primary" and x.get("primary") != y.get("primary"))):
        print(number, x, y)
        bad = True
sys.exit(bad)
END_PYTHON
}
check 'kinds, targets and causes are the same' same
check 'nothing is left' nothing_left
done_testing
