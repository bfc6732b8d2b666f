# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-artifacts.a
libordeal_artifacts_a_SOURCES = \
	%D%/bundle.h \
	%D%/report.h \
	%D%/status.c %D%/status.h
libordeal_artifacts_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS)
ORDEAL_ARTIFACTS_LIBS = libordeal-artifacts.a
