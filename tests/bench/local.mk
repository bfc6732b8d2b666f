# SPDX-License-Identifier: Apache-2.0
# Numbers, not tests: 'make bench-history [BENCH_EVENTS=N]'.
EXTRA_PROGRAMS = history-bench
CLEANFILES += history-bench$(EXEEXT)
history_bench_SOURCES = %D%/bench-history.c
history_bench_LDADD = $(ORDEAL_BASE_LIBS)
BENCH_EVENTS = 2000000
.PHONY: bench-history
bench-history: history-bench$(EXEEXT)
	./history-bench$(EXEEXT) $(BENCH_EVENTS)
