#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The libvirt provider on virtual machines (test-provider-vm.c).
exec "${ORDEAL_BUILDDIR:?}/test-provider-vm"
