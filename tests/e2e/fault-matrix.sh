#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The matrix of faults: every fault of the registry by hand on three virtual
# machines.  A row each: its effect is proven, its heal is proven, healing
# twice is harmless; with the proof.  A fault that has no row here fails.  Then
# the process that holds the cluster is killed between the steps of faults, and
# recovery proves that nothing is left: a sample, or, with ORDEAL_NIGHTLY set,
# each fault at each step.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm

# row FAULT: how the matrix injects it, as 'ordeal fault inject' takes it.
row() {
    case $1 in
    null | stop | pause | partition) echo "--target n1" ;;
    kill) echo "--target primary" ;;
    crash-point) echo "--target primary point=before-append within=30s" ;;
    clock-bump | clock-strobe | clock-drift | clock-freeze) echo "--target n2" ;;
    net-drop) echo "--target n3" ;;
    net-delay) echo "--target n3 delay=200ms" ;;
    net-loss | net-duplicate | net-corrupt | net-reorder)
        echo "--target n3 ${1#net-}=0.5"
        ;;
    net-rate) echo "--target n3 rate=64000" ;;
    power-cut | vm-reset | vm-pause | vm-throttle | vm-balloon | vm-nmi | \
        vm-link-down | vm-rollback) echo "--target n2" ;;
    disk-error | disk-full | disk-slow | disk-stall | disk-lying-flush | \
        disk-corrupt | disk-stale) echo "--target n3" ;;
    disk-fill | file-truncate | file-flip | file-rollback | \
        memory-pressure | cpu-pressure | netem) echo "--target n1" ;;
    *) return 1 ;;
    esac
}

# The records of the cluster that is up.
records() {
    "$ordeal" fault facts --format json >"$work/facts.json" &&
        json "$work/facts.json" 'j["records"]'
}

serves() {
    for _ in $(seq 60); do
        "$ordeal" status --format json >"$work/status.json" 2>/dev/null &&
            json_is "$work/status.json" \
                'sorted(n["role"] for n in j) == ["backup", "backup", "primary"]' \
                >/dev/null && return 0
        sleep 1
    done
    cat "$work/status.json"
    return 1
}

# Commands to all nodes, one after the other: the primary gets to work.
writes() {
    python3 - "$(records)/cluster.json" <<'END' >/dev/null 2>&1
import json, sys, time, urllib.request
ports = [n["doors"][0]["host_port"] for n in json.load(open(sys.argv[1]))["nodes"]]
for i in range(1, 400):
    for port in ports:
        body = json.dumps({"operation": "%032x" % (int(time.time() * 1e6) + port),
                           "client": 1, "command": "create_resource",
                           "resource": i}).encode()
        try:
            urllib.request.urlopen(urllib.request.Request(
                "http://127.0.0.1:%d/v1/command" % port, body,
                {"Content-Type": "application/json"}), timeout=1).read()
        except Exception:
            pass
    time.sleep(0.1)
END
}

# matrix_row FAULT: everything that is asked of it.
matrix_row() {
    args=$(row "$1")
    if [ "$1" = crash-point ]; then
        writes &
        writer=$!
    fi
    # shellcheck disable=SC2086
    "$ordeal" fault inject "$1" $args >"$work/row.inject" 2>&1 || {
        cat "$work/row.inject"
        id=$(sed -n 's/^fault \([0-9]*\) .*/\1/p' "$work/row.inject" | head -n 1)
        [ -n "$id" ] && "$ordeal" fault heal "$id"
        return 1
    }
    [ -z "${writer-}" ] || kill "$writer" 2>/dev/null
    writer=
    id=$(sed -n 's/^fault \([0-9]*\) .*/\1/p' "$work/row.inject" | head -n 1)
    "$ordeal" fault heal "$id" >"$work/row.heal" 2>&1 || {
        cat "$work/row.heal"
        return 1
    }
    grep -q 'its effect was confirmed' "$work/row.heal" || {
        cat "$work/row.heal"
        return 1
    }
    "$ordeal" fault heal "$id" >"$work/row.again" 2>&1 || {
        cat "$work/row.again"
        return 1
    }
}

"$ordeal" up >"$work/up.out" 2>&1 || {
    cat "$work/up.out"
    check 'a cluster is up' false
    done_testing
}
"$ordeal" fault list --format json >"$work/list.json"
faults=$(json "$work/list.json" \
    '" ".join(f["fault"] for f in j if f["available"])')
missing=$(json "$work/list.json" \
    '" ".join(f["fault"] for f in j if not f["available"])')
check "no fault is beyond these machines ($missing)" [ -z "$missing" ]
for fault in $faults; do
    check "$fault: it has a row" row "$fault"
    row "$fault" >/dev/null || continue
    # It puts back what changed, and here nobody writes.
    [ "$fault" != file-rollback ] || {
        note 'file-rollback: proven under load, by guest-faults.sh'
        continue
    }
    check 'the cluster serves' serves
    check "$fault: effect and heal proven, healed twice" matrix_row "$fault"
    note "$(cut -c1-300 "$work/row.inject")"
    note "$(cut -c1-300 "$work/row.heal")"
done
dir=$(records)
check 'each step is recorded' [ -s "$dir/faults.jsonl" ]
check 'the history can be read' "$ordeal" history stat "$dir/history.ordeal"

# ---- the holder dies ----

# die STAGE FAULT: killed right after that step; then nothing is left.
die() {
    "$ordeal" status >/dev/null 2>&1 || "$ordeal" up || return 1
    serves || return 1
    args=$(row "$2")
    # shellcheck disable=SC2086
    "$ordeal" fault inject "$2" $args --die-after "$1" >"$work/died" 2>&1
    [ "$1" = healed ] && "$ordeal" fault heal "$2" >>"$work/died" 2>&1
    sleep 1
    "$ordeal" recover --output "$work/runs" >"$work/recover" 2>&1 || {
        cat "$work/died" "$work/recover"
        return 1
    }
    grep -q "$2: undone, heal \(confirmed\|cannot\)" "$work/recover" || {
        cat "$work/died" "$work/recover"
        return 1
    }
    nothing_left
}

if [ -n "${ORDEAL_NIGHTLY-}" ]; then
    for fault in $faults; do
        for stage in journalled injected proved healed; do
            check "$fault: killed after '$stage', recovered" die "$stage" "$fault"
            note "$(grep "$fault: undone" "$work/recover" | cut -c1-300)"
        done
    done
else
    for pair in injected:partition journalled:pause healed:clock-freeze; do
        check "${pair#*:}: killed after '${pair%%:*}', recovered" \
            die "${pair%%:*}" "${pair#*:}"
        note "$(grep "${pair#*:}: undone" "$work/recover" | cut -c1-300)"
    done
fi
"$ordeal" down >/dev/null 2>&1
check 'nothing is left' nothing_left
done_testing
