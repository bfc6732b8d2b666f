# SPDX-License-Identifier: Apache-2.0
libordeal_analyzer_a_SOURCES += \
	%D%/allocator.c \
	%D%/bank.c \
	%D%/block.c \
	%D%/cas-register.c \
	%D%/counter.c \
	%D%/decode.h \
	%D%/fenced-lock.c \
	%D%/fifo-queue.c \
	%D%/functions.h \
	%D%/kv.c \
	%D%/lease-kernel-decode.c \
	%D%/lease-kernel.c %D%/lease-kernel.h \
	%D%/lease.c \
	%D%/list-append.c \
	%D%/long-fork.c \
	%D%/model.c %D%/model.h \
	%D%/multi-register.c \
	%D%/mutex.c \
	%D%/pool.c \
	%D%/quota.c \
	%D%/register.c \
	%D%/registry.c %D%/registry.h \
	%D%/rw-register.c \
	%D%/set.c \
	%D%/set-full.c \
	%D%/stack.c \
	%D%/total-queue.c \
	%D%/txn-level.c %D%/txn-level.h \
	%D%/txn.c %D%/txn.h \
	%D%/unique-ids.c
