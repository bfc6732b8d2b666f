# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-systems.a
libordeal_systems_a_SOURCES = \
	%D%/custom/custom.c \
	%D%/http.c %D%/http.h \
	%D%/registry.c %D%/system.h \
	%D%/replica/api.c \
	%D%/replica/client.c \
	%D%/replica/replica.c %D%/replica/replica.h \
	%D%/service.c %D%/service.h \
	%D%/way.c %D%/way.h
libordeal_systems_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(CURL_CFLAGS)
ORDEAL_SYSTEMS_LIBS = libordeal-systems.a $(CURL_LIBS)
