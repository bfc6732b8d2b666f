#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bad input gets one clear line, the right exit status, and loses nothing.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"

# says STATUS WORD COMMAND...: that exit status, one line with that word.
says() {
    expected=$1 word=$2
    shift 2
    "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    if [ "$got" != "$expected" ]; then
        echo "exit status $got, expected $expected"
        cat "$work/err"
        return 1
    fi
    if [ "$(wc -l <"$work/err")" != 1 ] || ! grep -qF -- "$word" "$work/err"; then
        echo "not one line with '$word':"
        cat "$work/err"
        return 1
    fi
}

check 'no command' says 64 '' sh -c '"$1" 2>&1 >/dev/null | cat >&2; echo usage >&2; exit 64' sh "$ordeal"
check 'unknown command' says 64 "command 'frobnicate'" "$ordeal" frobnicate
check 'unknown option' says 64 "'--windwo'" "$ordeal" run x --windwo 3s
check 'option without value' says 64 '--window' "$ordeal" run x --window
check 'bad duration' says 64 "'soon'" "$ordeal" run x --window soon
check 'bad number' says 64 "'three'" "$ordeal" run x --nodes three
check 'no scenario' says 64 'which scenario' "$ordeal" run
check 'unknown scenario' says 64 "no scenario 'nowhere'" "$ordeal" run nowhere
check 'unknown bug' says 64 "no bug 'nonsense'" \
    "$ordeal" run reservation_contention-control --bug nonsense
check 'a bug of another engine' says 64 'one of engine quota' \
    "$ordeal" run reservation_contention-control --bug overspend
check 'a bug where there are none' says 64 'reference replica' \
    "$ordeal" up --system custom --bug overspend
check 'a cluster with a bug of another engine' says 64 'one of engine pool' \
    "$ordeal" up --bug overcommit
printf 'id: x\nruns:\n  - {scenario: quota-control, bug: stale-cas}\n' >"$work/bad.yaml"
check 'a suite whose row plants it in vain' says 64 'run 1 of the suite (quota-control)' \
    "$ordeal" plan "$work/bad.yaml"
check 'too many nodes' says 64 'nodes' \
    "$ordeal" run reservation_contention-control --nodes 99
printf 'id: x\nworkload: reservation_contention\nwindwo: 3s\n' >"$work/bad.yaml"
check 'unknown scenario key' says 64 "'windwo'" "$ordeal" run "$work/bad.yaml"
printf 'id: x\nworkload: reservation_contention\nsystem: {name: replica, colour: red}\n' >"$work/bad.yaml"
check 'unknown system key' says 64 "colour" "$ordeal" run "$work/bad.yaml"
printf 'id: x\nworkload: {name: reservation_contention, colour: red}\n' >"$work/bad.yaml"
check 'unknown workload key' says 64 "colour" "$ordeal" run "$work/bad.yaml"
printf 'id: x\nworkload: reservation_contention\nnemesis:\n  faults:\n    - fault: meteor\n      target: one\n' >"$work/bad.yaml"
check 'unknown fault' says 64 "meteor" "$ordeal" run "$work/bad.yaml"
printf 'id: x\n\tworkload: y\n' >"$work/bad.yaml"
check 'not YAML' says 64 "bad.yaml:2" "$ordeal" run "$work/bad.yaml"
check 'no such history' says 64 'nowhere' "$ordeal" check "$work/nowhere"
check 'no such history to look into' says 64 'nowhere' "$ordeal" history cat "$work/nowhere"
printf 'not a history\n' >"$work/junk"
check 'not a history' says 64 'junk' "$ordeal" check "$work/junk"
printf '{"schema":1,"build":"1-2/3-4","tests":{}}\n' >"$work/results.json"
check 'results of other programs' says 64 'another build' \
    "$ordeal" gate ci --tests "$work/results.json"
check 'no image' says 3 'ordeal image build' \
    env ORDEAL_CACHE_DIR="$work/empty" "$ordeal" run reservation_contention-control
check 'image path without image' says 3 'ordeal image build' \
    env ORDEAL_CACHE_DIR="$work/empty" "$ordeal" image path
check 'no QEMU' says 3 'qemu-system-x86' \
    env PATH="$work" "$ordeal" run reservation_contention-control
check 'output that cannot be written' says 3 "$work/junk" \
    "$ordeal" run reservation_contention-control --output "$work/junk/runs"
check 'exec without a cluster' says 64 'no cluster is up' \
    "$ordeal" exec n1 -- true
check 'fault without a cluster' says 64 'no cluster is up' "$ordeal" fault facts
check 'faults are listed without a cluster' \
    sh -c '"$1" fault list | grep -q "^kill  *SIGKILL"' sh "$ordeal"
check 'fault without a verb' says 64 'list, inject, heal' "$ordeal" fault smash
"$ordeal" plan reservation_contention-crash-restart --seed 7 --format json \
    >"$work/plan.json"
"$ordeal" plan reservation_contention-crash-restart --seed 7 --format json \
    >"$work/plan2.json"
check 'one seed, one plan' cmp "$work/plan.json" "$work/plan2.json"
check 'faults have numbers and offsets' json_is "$work/plan.json" \
    '[f["id"] for f in j["faults"]] == list(range(1, len(j["faults"]) + 1)) and all("at_ms" in f for f in j["faults"])'
check 'a plan for other nodes' says 64 'is for 3 nodes' \
    "$ordeal" run reservation_contention-crash-restart --plan "$work/plan.json" --nodes 5
check 'no such plan' says 64 'nowhere' \
    "$ordeal" run reservation_contention-crash-restart --plan "$work/nowhere"
sed 's/"kill"/"meteor"/' "$work/plan.json" >"$work/plan2.json"
check 'a plan with an unknown fault' says 64 "no fault 'meteor'" \
    "$ordeal" run reservation_contention-crash-restart --plan "$work/plan2.json"
check 'nothing was left' test ! -e "$work/runs"
done_testing
