# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-remote.a
libordeal_remote_a_SOURCES = \
	%D%/keys.c %D%/keys.h \
	%D%/local.c \
	%D%/remote.c %D%/remote.h \
	%D%/ssh.c
libordeal_remote_a_CPPFLAGS = $(AM_CPPFLAGS) $(SSH2_CFLAGS) $(CRYPTO_CFLAGS) \
	$(JANSSON_CFLAGS)
ORDEAL_REMOTE_LIBS = libordeal-remote.a $(SSH2_LIBS) $(ORDEAL_BASE_LIBS)
