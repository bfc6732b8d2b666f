# SPDX-License-Identifier: Apache-2.0
# Fuzz targets; as tests they mutate their own seeds for a few seconds.
check_PROGRAMS += fuzz-history
TESTS += fuzz-history
fuzz_history_SOURCES = %D%/fuzz-history.c tests/lib/random-event.h
fuzz_history_LDADD = $(ORDEAL_BASE_LIBS)
check_PROGRAMS += fuzz-replica
TESTS += fuzz-replica
fuzz_replica_SOURCES = %D%/fuzz-replica.c
fuzz_replica_LDADD = libordeal-replica.a libordeal-vsr.a libordeal-base.a \
	$(JANSSON_LIBS)
check_PROGRAMS += fuzz-fabric
TESTS += fuzz-fabric
fuzz_fabric_SOURCES = %D%/fuzz-fabric.c tests/lib/frames.h
fuzz_fabric_LDADD = $(ORDEAL_FABRIC_LIBS)
check_PROGRAMS += fuzz-formats
TESTS += fuzz-formats
fuzz_formats_SOURCES = %D%/fuzz-formats.c
fuzz_formats_LDADD = $(ORDEAL_ANALYZER_LIBS)
