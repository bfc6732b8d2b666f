#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The matrix of faults: every fault of the registry by hand on three virtual
# machines.  A row each: its effect is proven, its heal is proven, healing
# twice is harmless; with the proof.  A fault that has no row here fails.  Then
# the process that holds the cluster is killed between the steps of faults, and
# recovery proves that nothing is left: a sample; with --only-deaths (about ten
# minutes) each fault once, three at a time, one of them at a step that the day
# chooses (ORDEAL_MATRIX_SEED=N: another) and two in force, so that twelve days
# have them all; or, with ORDEAL_NIGHTLY set, each fault alone at each step,
# which takes hours.
#
#   fault-matrix.sh [--only-deaths] [FAULT...]     only these
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm

deaths_only=
[ "${1-}" != --only-deaths ] || { deaths_only=yes && shift; }
only=$*
seed=${ORDEAL_MATRIX_SEED-$(($(date +%s) / 86400))}

# row FAULT: how the matrix injects it, as 'ordeal fault inject' takes it.
row() {
    case $1 in
    null | stop | pause | partition) echo "--target n1" ;;
    kill) echo "--target primary" ;;
    crash-point) echo "--target primary point=before-append within=5s" ;;
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

# inject FAULT OPTION VALUE: with writers where there is nothing to harm without;
# a rollback needs files that changed some seconds ago, and since.
inject() {
    args=$(row "$1")
    writer=
    case $1 in
    crash-point | file-rollback)
        writes &
        writer=$!
        [ "$1" = crash-point ] || sleep 5
        ;;
    esac
    # shellcheck disable=SC2086
    "$ordeal" fault inject "$1" $args "$2" "$3"
    injected=$?
    # The primary may change before it is told where to end.
    for _ in 1 2 3; do
        [ "$1 $2" = 'crash-point --format' ] || break
        [ "$injected" != 0 ] || break
        # shellcheck disable=SC2086
        "$ordeal" fault inject "$1" $args "$2" "$3"
        injected=$?
    done
    [ -z "$writer" ] || kill "$writer" 2>/dev/null
    return "$injected"
}

# matrix_row FAULT: everything that is asked of it.
matrix_row() {
    inject "$1" --format text >"$work/row.inject" 2>&1 || {
        cat "$work/row.inject"
        id=$(sed -n 's/^fault \([0-9]*\) .*/\1/p' "$work/row.inject" | head -n 1)
        [ -n "$id" ] && "$ordeal" fault heal "$id"
        return 1
    }
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
faults=${only:-$faults}
for fault in $faults; do
    [ -z "$deaths_only" ] || break
    check "$fault: it has a row" row "$fault"
    row "$fault" >/dev/null || continue
    check 'the cluster serves' serves
    check "$fault: effect and heal proven, healed twice" matrix_row "$fault"
    note "$(cut -c1-300 "$work/row.inject")"
    note "$(cut -c1-300 "$work/row.heal")"
done
dir=$(records)
if [ -z "$deaths_only" ]; then
    check 'each step is recorded' [ -s "$dir/faults.jsonl" ]
    check 'the history can be read' "$ordeal" history stat \
        "$dir/history.ordeal"
fi

# ---- the holder dies ----

# die STAGE FAULT [COMPANION...]: killed right after that step, with the
# companions in force; then nothing is left of any.
die() {
    "$ordeal" status >/dev/null 2>&1 || "$ordeal" up || return 1
    serves || return 1
    stage=$1 dying=$2
    shift 2
    : >"$work/died"
    for companion in "$@"; do
        # Beside another fault its own proof may not hold (4).
        inject "$companion" --format text >>"$work/died" 2>&1 || [ $? = 4 ] || {
            cat "$work/died"
            return 1
        }
    done
    inject "$dying" --die-after "$stage" >>"$work/died" 2>&1
    [ "$stage" = healed ] && "$ordeal" fault heal "$dying" >>"$work/died" 2>&1
    sleep 1
    "$ordeal" recover --output "$work/runs" >"$work/recover" 2>&1 || {
        cat "$work/died" "$work/recover"
        return 1
    }
    for fault in "$dying" "$@"; do
        grep -q "$fault: undone, heal \(confirmed\|cannot\|not needed\)" "$work/recover" || {
            cat "$work/died" "$work/recover"
            return 1
        }
    done
    nothing_left
}

# death STAGE FAULT [COMPANION...]
death() {
    began=$(date +%s)
    check "killed after '$1' of $2${3+, while }${3-}${4+ and }${4-}${3+ in force}: recovered" \
        die "$@"
    note "$(($(date +%s) - began)) s"
    grep -s ': undone' "$work/recover" | cut -c1-300 | sed 's/^/# /'
}

# Each fault at each step, one after the other.
all_deaths() {
    for fault in $faults; do
        for stage in journalled injected proved healed; do
            death "$stage" "$fault"
        done
    done
}

# Each fault once: three lie on three nodes; the day says which of them is at
# which step.
deaths_of_today() {
    first='' second='' third='' life=0
    for fault in $faults; do
        # Beside a machine that stands still nothing else can be proven.
        if [ "$fault" = vm-pause ]; then
            death_of_today "$fault"
            continue
        fi
        case $(row "$fault") in
        '--target n1'*) first="$first $fault" ;;
        '--target n2'*) second="$second $fault" ;;
        '--target n3'*) third="$third $fault" ;;
        *) death_of_today "$fault" ;;
        esac
    done
    while [ -n "$first$second$third" ]; do
        # shellcheck disable=SC2086
        set -- $first
        one=${1-} && first=${first#" $one"}
        # shellcheck disable=SC2086
        set -- $second
        two=${1-} && second=${second#" $two"}
        # shellcheck disable=SC2086
        set -- $third
        three=${1-} && third=${third#" $three"}
        # shellcheck disable=SC2086
        death_of_today $one $two $three
    done
}

# death_of_today FAULT...: each day another of them, and its next step.
death_of_today() {
    life=$((life + 1))
    turns=$(((life + seed) % $#))
    while [ $turns -gt 0 ]; do
        dying=$1 && shift
        set -- "$@" "$dying"
        turns=$((turns - 1))
    done
    case $(((life + seed / 3) % 4)) in
    0) death journalled "$@" ;;
    1) death injected "$@" ;;
    2) death proved "$@" ;;
    3) death healed "$@" ;;
    esac
}

if [ -n "${ORDEAL_NIGHTLY-}" ]; then
    all_deaths
elif [ -n "$deaths_only" ]; then
    note "seed of the steps: $seed"
    deaths_of_today
else
    death injected partition
    death journalled pause
    death healed clock-freeze
fi
"$ordeal" down >/dev/null 2>&1
check 'nothing is left' nothing_left
done_testing
