# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-workloads.a
libordeal_workloads_a_SOURCES = \
	%D%/registry.c \
	%D%/reservation-contention.c \
	%D%/workload.h
libordeal_workloads_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
ORDEAL_WORKLOADS_LIBS = libordeal-workloads.a
