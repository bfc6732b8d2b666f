# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-analyzer.a
libordeal_analyzer_a_SOURCES = \
	%D%/allocation.c %D%/allocation.h \
	%D%/allocation-calls.c \
	%D%/allocation-model.c \
	%D%/allocator.c %D%/allocator.h \
	%D%/analyzer.h \
	%D%/block-values.c \
	%D%/bundle-atomicity.c \
	%D%/calls.c %D%/calls.h \
	%D%/check.c %D%/check.h \
	%D%/checker.c %D%/checker.h \
	%D%/cli.c \
	%D%/decode-engines.c \
	%D%/decode.c \
	%D%/describe.c \
	%D%/double-allocation.c \
	%D%/dual-primary.c \
	%D%/duplicate-execution.c \
	%D%/early-expiration.c \
	%D%/early-reuse.c \
	%D%/evidence.c \
	%D%/facts.c %D%/facts.h \
	%D%/guess.c \
	%D%/hold-misuse.c \
	%D%/holds.c %D%/holds.h \
	%D%/judge-model.c %D%/judge-model.h \
	%D%/judge-read.c %D%/judge-read.h \
	%D%/linearizable.c \
	%D%/load.c \
	%D%/lost-write.c \
	%D%/map.c %D%/map.h \
	%D%/missing-operation-id.c \
	%D%/order.c %D%/order.h \
	%D%/phantom-result.c \
	%D%/pool-overcommit.c \
	%D%/position-conflict.c \
	%D%/quota-overspend.c \
	%D%/registry.c \
	%D%/replica-divergence.c \
	%D%/retired-vs-not-found.c \
	%D%/report.c %D%/report.h \
	%D%/run.c \
	%D%/stale-holder.c \
	%D%/stale-read.c \
	%D%/table.c %D%/table.h \
	%D%/unresolved-ambiguity.c \
	%D%/values.c %D%/values.h \
	%D%/verdict.h \
	%D%/view.c
libordeal_analyzer_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
ORDEAL_ANALYZER_LIBS = libordeal-analyzer.a $(ORDEAL_BASE_LIBS)
EXTRA_DIST += docs/CHECKERS.md docs/ENGINES.md docs/EXACT-ENGINES.md \
	docs/MODELS.md docs/TRANSACTIONS.md
include analyzer/formats/local.mk
include analyzer/models/local.mk
include analyzer/engines/local.mk
include analyzer/explain/local.mk
