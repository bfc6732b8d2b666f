#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tidiness as a test (TAP): what reviewers should not have to look for.
# Each check is a function that prints what it finds; silence is a pass.
# shellcheck disable=SC2016,SC2046 # awk programs; our file names are words
set -u
top=${ORDEAL_SRCDIR:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$top" || exit 99
count=0 failures=0

# The tree's files: git's when there is git, else all of a source archive.
list_files() {
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -co --exclude-standard
    else
        find . -type f -not -path './build/*' -not -path './.git/*' \
            -not -path './runs/*' | sed 's,^\./,,'
    fi | grep -vE '(^|/)(Makefile\.in|aclocal\.m4|configure|config\.h\.in)~?$|^build-aux/|^autom4te' |
        while read -r f; do [ -f "$f" ] && printf '%s\n' "$f"; done
}
all_files=$(list_files)
files() { printf '%s\n' "$all_files"; }
sources() { files | grep -E '\.[ch]$'; }

# point NAME COMMAND...: holds when the command prints nothing.
point() {
    count=$((count + 1))
    name=$1
    shift
    found=$("$@" | head -n 20)
    if [ -z "$found" ]; then
        echo "ok $count - $name"
    else
        failures=$((failures + 1))
        echo "not ok $count - $name"
        printf '%s\n' "$found" | sed 's/^/#   /'
    fi
}

# tool_point TOOL NAME COMMAND...: a point that needs a tool.
tool_point() {
    tool=$1
    shift
    if command -v "$tool" >/dev/null; then
        point "$@"
    else
        count=$((count + 1))
        echo "ok $count - $1 # SKIP no $tool"
    fi
}

licence() {
    files | grep -vE '^(LICENSE|\.gitignore)$|\.(json|jsonl|edn|bin|png|svg|sum)$|corpus/' |
        while read -r f; do
            head -n 3 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
                echo "$f: no SPDX line"
        done
}

columns() {
    sources | xargs awk 'length($0) > 80 {
        print FILENAME ":" FNR ": " length($0) " columns" }'
}

lengths() {
    sources | xargs awk '
        FNR == 1 { open = 0 }
        /^\{/ { open = FNR }
        /^\}/ { if (open && FNR - open > 71)
                    print FILENAME ":" open ": a function of " FNR - open - 1 " lines"
                open = 0 }'
}

banned() {
    sources | xargs grep -nE '\b(system|popen|sprintf|vsprintf|strcpy|strcat|gets|atoi|atol|strtok|usleep|tmpnam|mktemp)\(' |
        grep -vE '^[^:]*:[0-9]*: \*|json_sprintf'
    sources | grep -vE '^(tests|replica|vm-images)/' | xargs grep -nE '\b(sleep|exit)\(' |
        grep -vE ':[0-9]+: *(\*|/\*)|_exit\('
}

unfinished() {
    sources | xargs grep -nE '\b(TODO|FIXME|XXX)\b'
}

layers() {
    while read -r dir forbidden; do
        sources | grep "^$dir/" | xargs -r grep -nE "#include \"($forbidden)"
    done <<'END'
harness/base harness/(remote|provider)/|nemesis/|workloads/|systems/|analyzer/|artifacts/
analyzer harness/(remote|provider)/|harness/[a-z-]*\.h|nemesis/|workloads/|systems/|replica/
workloads nemesis/|analyzer/|artifacts/|harness/provider/libvirt
nemesis workloads/|analyzer/
artifacts harness/(remote|provider)/|nemesis/|workloads/|systems/|analyzer/
replica harness/(remote|provider)/|nemesis/|workloads/|systems/|analyzer/|artifacts/
END
}

built() {
    rules=$(cat $(files | grep -E '(local\.mk|Makefile\.am)$'))
    for f in $(sources | grep '\.c$'); do
        printf '%s\n' "$rules" | grep -q "/$(basename "$f")" ||
            echo "$f is in no local.mk"
    done
}

private_names() {
    files | grep -v '^tests/tidy\.sh$' | xargs grep -nIE '/(work|home|tmp/wt)/|deb\.debian\.org|registry\.npmjs'
}

scripts() {
    files | while read -r f; do
        head -n 1 "$f" | grep -qE '^#!.*\b(sh|bash)$' && shellcheck -x -e SC2317,SC2016 -f gcc "$f"
    done
}

format() {
    sources | xargs clang-format --dry-run 2>&1 | grep -E 'warning|error' | sort -u
}

static_analysis() {
    cppcheck -q -j2 --std=c11 --enable=warning,portability --inline-suppr \
        --suppress=missingInclude --suppress=missingIncludeSystem \
        --suppress=unknownMacro --suppress=preprocessorErrorDirective \
        --template='{file}:{line}: {id}: {message}' \
        -I. $(sources | grep '\.c$') 2>&1
}

point 'every file says its licence' licence
point 'no line of C is longer than 80 columns' columns
point 'no function is longer than 70 lines' lengths
point 'no banned function is called' banned
point 'unfinished work is called NEEDSWORK' unfinished
point 'no layer includes one above it' layers
point 'every source file is built' built
point 'no path or host of a machine is named' private_names
tool_point shellcheck 'scripts pass shellcheck' scripts
tool_point clang-format 'sources are formatted by clang-format' format
tool_point cppcheck 'cppcheck has no complaint' static_analysis
echo "1..$count"
[ "$failures" = 0 ]
