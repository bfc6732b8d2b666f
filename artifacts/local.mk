# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-artifacts.a
libordeal_artifacts_a_SOURCES = \
	%D%/bundle.c %D%/bundle.h \
	%D%/junit.c \
	%D%/manifest.c %D%/manifest.h \
	%D%/report.c %D%/report.h \
	%D%/repro.c \
	%D%/secrets.c %D%/secrets.h \
	%D%/status.c %D%/status.h \
	%D%/summary.c \
	%D%/text.c %D%/text.h
libordeal_artifacts_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS)
ORDEAL_ARTIFACTS_LIBS = libordeal-artifacts.a

EXTRA_DIST += docs/BUNDLE.md
