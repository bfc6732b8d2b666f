#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every history with a known verdict: judged right, the core alone invalid
# again, the certificate accepted by ordeal-verify.
exec "${ORDEAL_SRCDIR:?}/tests/corpora/check-corpora" --tap --evidence
