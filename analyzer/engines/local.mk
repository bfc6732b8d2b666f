# SPDX-License-Identifier: Apache-2.0
libordeal_analyzer_a_SOURCES += \
	%D%/bank.c \
	%D%/brute.c \
	%D%/configurations.c \
	%D%/container.c %D%/container.h \
	%D%/counter.c \
	%D%/depth.c \
	%D%/engine.c %D%/engine.h \
	%D%/exact.c %D%/exact.h \
	%D%/lease-kernel.c \
	%D%/lease.c \
	%D%/list-append.c \
	%D%/live.c %D%/live.h \
	%D%/lock.c \
	%D%/long-fork.c \
	%D%/parts.c \
	%D%/portfolio.c \
	%D%/queue.c \
	%D%/register.c \
	%D%/replay.c \
	%D%/rw-register.c \
	%D%/search.c %D%/search.h \
	%D%/set-full.c \
	%D%/set.c \
	%D%/space.c %D%/space.h \
	%D%/stack.c \
	%D%/toggle.c %D%/toggle.h \
	%D%/total-queue.c \
	%D%/txn-case.c %D%/txn-case.h \
	%D%/txn-graph.c %D%/txn-graph.h \
	%D%/txn-orders.c \
	%D%/txn-serial.c %D%/txn-serial.h \
	%D%/txn-shrink.c \
	%D%/unique-ids.c \
	%D%/window.c %D%/window.h \
	%D%/witness.c
EXTRA_DIST += docs/ENGINES.md
