# SPDX-License-Identifier: Apache-2.0
# 'make check-corpora [CORPORA=DIR]': every history with a known verdict.
EXTRA_DIST += %D%/check-corpora %D%/corpora.sh %D%/limits.sh
TESTS += %D%/corpora.sh %D%/limits.sh
CORPORA =
.PHONY: check-corpora
check-corpora: ordeal$(EXEEXT)
	ORDEAL_SRCDIR=$(srcdir) ORDEAL_BUILDDIR=. \
		$(srcdir)/%D%/check-corpora --evidence $(CORPORA)
