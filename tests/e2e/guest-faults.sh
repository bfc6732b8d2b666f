#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Faults inside guests, on virtual machines (test-guest-faults.c).
exec "${ORDEAL_BUILDDIR:?}/test-guest-faults"
