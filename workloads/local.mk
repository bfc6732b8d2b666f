# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-workloads.a
libordeal_workloads_a_SOURCES = \
	%D%/allocator-book.c \
	%D%/allocator-command.c \
	%D%/allocator-internal.h \
	%D%/allocator.c \
	%D%/allocator.h \
	%D%/ambiguous-write-retry.c \
	%D%/block-register.c \
	%D%/expiration-and-recovery.c \
	%D%/failover-read-fences.c \
	%D%/generator.c \
	%D%/generator.h \
	%D%/lease-safety.c \
	%D%/pool-holds.c \
	%D%/quota.c \
	%D%/registry.c \
	%D%/reservation-contention.c \
	%D%/retry-pressure.c \
	%D%/workload.h
libordeal_workloads_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
ORDEAL_WORKLOADS_LIBS = libordeal-workloads.a
