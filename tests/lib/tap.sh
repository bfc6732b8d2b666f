# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# TAP for shell tests.  A test sources this, calls 'check NAME COMMAND...' and
# ends with 'done_testing'.  $work is a private directory that goes away.
tap_count=0
tap_failures=0
ordeal=${ORDEAL_BUILDDIR:?run me with make check-e2e}/ordeal
work=$(mktemp -d /tmp/ordeal.XXXXXX) || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# Nothing that a test starts may be mistaken for a user's.
export ORDEAL_OUTPUT="$work/runs" XDG_RUNTIME_DIR="$work"

skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}

note() {
    printf '# %s\n' "$@"
}

# check NAME COMMAND...: one point; shows the command's output when it fails.
check() {
    tap_count=$((tap_count + 1))
    tap_name=$1
    shift
    if "$@" >"$work/check.out" 2>&1; then
        echo "ok $tap_count - $tap_name"
    else
        echo "not ok $tap_count - $tap_name"
        printf '#   %s\n' "failed: $*"
        tail -n 20 "$work/check.out" | sed 's/^/#   /'
        tap_failures=$((tap_failures + 1))
    fi
}

# check_status NAME EXPECTED COMMAND...: the exit status is exactly that.
check_status() {
    status_name=$1 status_expected=$2
    shift 2
    "$@" >"$work/out" 2>"$work/err"
    status_got=$?
    check "$status_name" status_is
}
status_is() {
    [ "$status_got" = "$status_expected" ] && return 0
    echo "exit status $status_got, expected $status_expected"
    tail -n 15 "$work/out" "$work/err"
    return 1
}

# json FILE EXPRESSION: a Python expression over the parsed file 'j' prints.
json() {
    python3 -c 'import json, sys
j = json.load(open(sys.argv[1]))
r = eval(sys.argv[2])
print(r if not isinstance(r, bool) else str(r).lower())' "$1" "$2"
}

# json_is FILE EXPRESSION: it is true.
json_is() {
    [ "$(json "$1" "bool($2)")" = true ] && return 0
    echo "not true: $2"
    json "$1" "$(printf '%s' "$2" | sed 's/ *\(>=\|<=\|==\|<\|>\).*//')"
    return 1
}

# This test's virtual machines and helpers that still run (QEMU command lines
# name the private directory).
ours_running() {
    for p in /proc/[0-9]*; do
        [ "$(stat -c %u "$p" 2>/dev/null)" = "$(id -u)" ] || continue
        grep -q '^State:[[:space:]]*Z' "$p/status" 2>/dev/null && continue
        tr '\0' ' ' <"$p/cmdline" 2>/dev/null |
            grep -E '^(/usr/bin/)?(qemu-system|nbdkit)' | grep -F "$work"
    done
}
nothing_left() {
    [ -z "$(ours_running)" ] && return 0
    ours_running
    return 1
}

need_vm() {
    command -v qemu-system-x86_64 >/dev/null || skip_all 'no qemu-system-x86_64'
    "$ordeal" image path >/dev/null 2>&1 || skip_all 'no guest image (ordeal image build)'
}

done_testing() {
    echo "1..$tap_count"
    [ "$tap_failures" = 0 ]
    exit
}
