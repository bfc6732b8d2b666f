# SPDX-License-Identifier: Apache-2.0
# Numbers, not tests: 'make bench-history [BENCH_EVENTS=N]'.
EXTRA_PROGRAMS += history-bench
CLEANFILES += history-bench$(EXEEXT)
history_bench_SOURCES = %D%/bench-history.c
history_bench_LDADD = $(ORDEAL_BASE_LIBS)
BENCH_EVENTS = 2000000
.PHONY: bench-history
bench-history: history-bench$(EXEEXT)
	./history-bench$(EXEEXT) $(BENCH_EVENTS)

# 'make bench-formats [BENCH_READ=N]': how fast histories become calls.
EXTRA_PROGRAMS += formats-bench
CLEANFILES += formats-bench$(EXEEXT)
formats_bench_SOURCES = %D%/bench-formats.c
formats_bench_LDADD = $(ORDEAL_ANALYZER_LIBS)
BENCH_READ = 1000000
.PHONY: bench-formats
bench-formats: formats-bench$(EXEEXT)
	./formats-bench$(EXEEXT) $(BENCH_READ)

# 'make bench-replica [BENCH_SECONDS=N]': three replicas on loopback.
EXTRA_PROGRAMS += replica-bench
CLEANFILES += replica-bench$(EXEEXT)
replica_bench_SOURCES = %D%/bench-replica.c \
	tests/lib/replica-cluster.c tests/lib/replica-cluster.h \
	tests/lib/link-proxy.h
replica_bench_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
replica_bench_LDADD = libordeal-base.a $(JANSSON_LIBS)
BENCH_SECONDS = 5
.PHONY: bench-replica
bench-replica: replica-bench$(EXEEXT) ordeal-replica$(EXEEXT)
	ORDEAL_BUILDDIR=. ./replica-bench$(EXEEXT) $(BENCH_SECONDS)

# 'make bench-checkers [BENCH_OPERATIONS=N]': the domain checkers.
EXTRA_PROGRAMS += checkers-bench
CLEANFILES += checkers-bench$(EXEEXT)
checkers_bench_SOURCES = %D%/bench-checkers.c
checkers_bench_LDADD = $(ORDEAL_ANALYZER_LIBS)
BENCH_OPERATIONS = 1000000
.PHONY: bench-checkers
bench-checkers: checkers-bench$(EXEEXT)
	./checkers-bench$(EXEEXT) $(BENCH_OPERATIONS)

# 'make bench-analyzer': the whole table of the analyzer's goals, a few minutes;
# PORCUPINE=DIR, a checkout, is run beside it.
PORCUPINE =
EXTRA_DIST += %D%/bench-analyzer %D%/plot-scaling docs/analyzer-scaling.svg
.PHONY: bench-analyzer
bench-analyzer: ordeal$(EXEEXT) checkers-bench$(EXEEXT) txn-bench$(EXEEXT) \
	engines-bench$(EXEEXT) exact-bench$(EXEEXT) check-bench$(EXEEXT) \
	allocator-bench$(EXEEXT)
	ORDEAL_SRCDIR=$(srcdir) ORDEAL_BUILDDIR=. \
		$(srcdir)/%D%/bench-analyzer $(PORCUPINE)

# 'make bench-txn [BENCH_TRANSACTIONS=N]': how fast transactions are judged.
EXTRA_PROGRAMS += txn-bench
CLEANFILES += txn-bench$(EXEEXT)
txn_bench_SOURCES = %D%/bench-txn.c
txn_bench_LDADD = $(ORDEAL_ANALYZER_LIBS)
BENCH_TRANSACTIONS = 100000
.PHONY: bench-txn
bench-txn: txn-bench$(EXEEXT)
	./txn-bench$(EXEEXT) $(BENCH_TRANSACTIONS)

# 'make bench-fabric [BENCH_FABRIC_SECONDS=N]': frames through the switch.
EXTRA_PROGRAMS += fabric-bench
CLEANFILES += fabric-bench$(EXEEXT)
fabric_bench_SOURCES = %D%/bench-fabric.c
fabric_bench_LDADD = $(ORDEAL_FABRIC_LIBS)
BENCH_FABRIC_SECONDS = 2
.PHONY: bench-fabric
bench-fabric: fabric-bench$(EXEEXT)
	./fabric-bench$(EXEEXT) $(BENCH_FABRIC_SECONDS)

# 'make bench-engines [BENCH_ROWS="3 5"] [BENCH_LIMIT=SECONDS]': the general
# engines on what makes other checkers give up.
EXTRA_PROGRAMS += engines-bench
CLEANFILES += engines-bench$(EXEEXT)
engines_bench_SOURCES = %D%/bench-engines.c tests/lib/random-calls.h \
	tests/lib/random-models.h
engines_bench_LDADD = $(ORDEAL_ANALYZER_LIBS)
BENCH_ROWS =
BENCH_LIMIT = 10
.PHONY: bench-engines
bench-engines: engines-bench$(EXEEXT)
	./engines-bench$(EXEEXT) "$(BENCH_ROWS)" $(BENCH_LIMIT)

# 'make bench-platter [BENCH_PLATTER_SECONDS=N]': beside nbdkit's file plugin.
EXTRA_PROGRAMS += platter-bench
CLEANFILES += platter-bench$(EXEEXT)
platter_bench_SOURCES = %D%/bench-platter.c
platter_bench_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(NBD_CFLAGS)
platter_bench_LDADD = $(ORDEAL_PLATTER_LIBS) $(NBD_LIBS)
BENCH_PLATTER_SECONDS = 1
.PHONY: bench-platter
bench-platter: platter-bench$(EXEEXT) ordeal-platter.so
	./platter-bench$(EXEEXT) $(BENCH_PLATTER_SECONDS)

# 'make bench-exact [BENCH_CALLS=N]': registers, queues and stacks.
EXTRA_PROGRAMS += exact-bench
CLEANFILES += exact-bench$(EXEEXT)
exact_bench_SOURCES = %D%/bench-exact.c
exact_bench_LDADD = $(ORDEAL_ANALYZER_LIBS)
BENCH_CALLS = 10000000
.PHONY: bench-exact
bench-exact: exact-bench$(EXEEXT)
	./exact-bench$(EXEEXT) $(BENCH_CALLS)
EXTRA_DIST += %D%/peer/porcupine.go %D%/peer/run-porcupine

# 'make bench-check [BENCH_OPERATIONS=N]': from a file to a verdict.
EXTRA_PROGRAMS += check-bench
CLEANFILES += check-bench$(EXEEXT)
check_bench_SOURCES = %D%/bench-check.c
check_bench_LDADD = $(ORDEAL_ANALYZER_LIBS)
.PHONY: bench-check
bench-check: check-bench$(EXEEXT)
	./check-bench$(EXEEXT) $(BENCH_OPERATIONS)

# 'make bench-allocator [BENCH_ALLOCATOR="OPERATIONS AMBIGUOUS RESOURCES..."]':
# an allocator's history without positions.
EXTRA_PROGRAMS += allocator-bench
CLEANFILES += allocator-bench$(EXEEXT)
allocator_bench_SOURCES = %D%/bench-allocator.c
allocator_bench_LDADD = $(ORDEAL_ANALYZER_LIBS)
BENCH_ALLOCATOR =
.PHONY: bench-allocator
bench-allocator: allocator-bench$(EXEEXT)
	./allocator-bench$(EXEEXT) $(BENCH_ALLOCATOR)
