#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A whole run as a user without any privilege: no groups, no sudo, no home.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm
[ "$(id -u)" = 0 ] || skip_all 'the other tests run as an ordinary user already'

user=64321
chmod 711 "$work"
mkdir -p "$work/u/run" "$work/cache"
cp -r "$(dirname "$("$ordeal" image path)")" "$work/cache/images"
chown -R $user:$user "$work/u" "$work/cache"
chmod 700 "$work/u/run"
as_user() {
    setpriv --reuid=$user --regid=$user --clear-groups --no-new-privs env -i \
        PATH=/usr/bin:/bin ORDEAL_CACHE_DIR="$work/cache" \
        XDG_RUNTIME_DIR="$work/u/run" ORDEAL_OUTPUT="$work/u/runs" "$@"
}
as_user test -x "$ordeal" || skip_all 'the build directory is private to root'

check_status 'the run passes' 0 as_user "$ordeal" run \
    reservation_contention-partition-heal --window 12s
sed 's/^/# /' "$work/out"
check 'status is passed' json_is "$work/u/runs/latest/manifest.json" \
    'j["status"] == "passed"'
note "clients use: $(json "$work/u/runs/latest/manifest.json" 'j["host"]["clients"]')"
nobody_left() { [ -z "$(ps -o pid= -u "$user")" ]; }
check 'no process of that user is left' nobody_left
check 'its runtime directory is empty' test -z "$(find "$work/u/run" -type f)"
done_testing
