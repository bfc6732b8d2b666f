# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-base.a
libordeal_base_a_SOURCES = \
	%D%/arena.c %D%/arena.h \
	%D%/buf.c %D%/buf.h \
	%D%/cleanup.h \
	%D%/clock.c %D%/clock.h \
	%D%/crc32c.c %D%/crc32c.h \
	%D%/error.c %D%/error.h \
	%D%/file.c %D%/file.h \
	%D%/history-format.c %D%/history-format.h \
	%D%/history-json.c \
	%D%/history-reader.c \
	%D%/history-writer.c \
	%D%/history.h \
	%D%/id128.c %D%/id128.h \
	%D%/limits.h \
	%D%/log.c %D%/log.h \
	%D%/process.c %D%/process.h \
	%D%/rng.c %D%/rng.h \
	%D%/value.c %D%/value.h
libordeal_base_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(ZSTD_CFLAGS) \
	$(CRYPTO_CFLAGS)
ORDEAL_BASE_LIBS = libordeal-base.a $(JANSSON_LIBS) $(ZSTD_LIBS) $(CRYPTO_LIBS)

EXTRA_DIST += docs/HISTORY-FORMAT.md
