# SPDX-License-Identifier: Apache-2.0
include tests/unit/local.mk
include tests/integration/local.mk
include tests/simulation/local.mk
include tests/e2e/local.mk
EXTRA_DIST += %D%/lib/tap.h
