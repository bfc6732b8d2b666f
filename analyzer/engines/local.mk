# SPDX-License-Identifier: Apache-2.0
libordeal_analyzer_a_SOURCES += \
	%D%/brute.c \
	%D%/engine.c %D%/engine.h \
	%D%/exact.c %D%/exact.h \
	%D%/list-append.c \
	%D%/register.c \
	%D%/replay.c \
	%D%/txn-case.c %D%/txn-case.h \
	%D%/txn-graph.c %D%/txn-graph.h
