# SPDX-License-Identifier: Apache-2.0
# Everything of the replica but the daemon itself: what tests link.
noinst_LIBRARIES += libordeal-replica.a
libordeal_replica_a_SOURCES = \
	%D%/bugs.c %D%/bugs.h \
	%D%/bytes.h \
	%D%/command.c %D%/command.h \
	%D%/command-plain.c %D%/command-plain.h \
	%D%/crash-point.c %D%/crash-point.h \
	%D%/due-heap.c %D%/due-heap.h \
	%D%/engine.c %D%/engine.h \
	%D%/engine-plain.c %D%/engine-plain.h \
	%D%/engine-pool.c \
	%D%/engine-quota.c \
	%D%/engine-state.c %D%/engine-state.h \
	%D%/engine-block.c \
	%D%/engine-lease.c %D%/engine-lease.h \
	%D%/engine-lease-internal.h \
	%D%/engine-lease-json.c \
	%D%/engine-lease-snapshot.c \
	%D%/engine-lease-tables.c \
	%D%/id-map.c %D%/id-map.h \
	%D%/json.c %D%/json.h \
	%D%/log.c %D%/log.h \
	%D%/meta.c %D%/meta.h \
	%D%/operations.c %D%/operations.h \
	%D%/options.c %D%/options.h \
	%D%/snapshot.c %D%/snapshot.h
libordeal_replica_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(UV_CFLAGS) \
	$(MHD_CFLAGS)
ORDEAL_REPLICA_LIBS = libordeal-replica.a libordeal-base.a $(JANSSON_LIBS)

# The replication core: pure, needs base only.
noinst_LIBRARIES += libordeal-vsr.a
libordeal_vsr_a_SOURCES = \
	%D%/vsr.c %D%/vsr.h \
	%D%/vsr-internal.h \
	%D%/vsr-log.c \
	%D%/vsr-transfer.c \
	%D%/vsr-view.c \
	%D%/vsr-wire.c
ORDEAL_VSR_LIBS = libordeal-vsr.a $(ORDEAL_BASE_LIBS)

bin_PROGRAMS += ordeal-replica
ordeal_replica_SOURCES = \
	%D%/disk.c %D%/disk.h \
	%D%/http.c %D%/http.h \
	%D%/main.c \
	%D%/peer.c %D%/peer.h \
	%D%/server.c %D%/server.h \
	%D%/server-api.c
ordeal_replica_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(UV_CFLAGS) \
	$(MHD_CFLAGS)
ordeal_replica_LDADD = libordeal-replica.a libordeal-vsr.a libordeal-base.a \
	$(UV_LIBS) $(MHD_LIBS) $(JANSSON_LIBS)
EXTRA_DIST += docs/REPLICA.md
