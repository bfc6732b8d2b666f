#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A cluster to explore: up, status, exec, logs, down.
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"
need_vm

check_status 'up brings three nodes' 0 "$ordeal" up
check_status 'status shows a primary' 0 "$ordeal" status
check 'and two backups' test "$(grep -c backup "$work/out")" = 2
check_status 'exec runs a program' 0 "$ordeal" exec n2 -- cat /proc/sys/kernel/hostname
check 'on that node' grep -qx n2 "$work/out"
check_status 'its exit status comes back' 7 "$ordeal" exec n1 -- sh -c 'exit 7'
check_status 'logs prints the daemon log' 0 "$ordeal" logs n1
check 'which is not empty' test -s "$work/out"
check_status 'a second up is refused' 64 "$ordeal" up
check_status 'down ends it' 0 "$ordeal" down
check 'nothing is left' nothing_left
check_status 'down again says that there is nothing' 0 "$ordeal" down
done_testing
