#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The faults of machines and data disks on virtual machines
# (test-fault-machine.c).
exec "${ORDEAL_BUILDDIR:?}/test-fault-machine"
