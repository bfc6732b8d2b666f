# SPDX-License-Identifier: Apache-2.0
# Fuzz targets; as tests they mutate their own seeds for a few seconds.
check_PROGRAMS += fuzz-history
TESTS += fuzz-history
fuzz_history_SOURCES = %D%/fuzz-history.c tests/lib/random-event.h
fuzz_history_LDADD = $(ORDEAL_BASE_LIBS)
