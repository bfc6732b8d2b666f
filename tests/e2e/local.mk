# SPDX-License-Identifier: Apache-2.0
E2E_TESTS =
