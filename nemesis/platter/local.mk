# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-platter.a
PLATTER_DISK_SOURCES = \
	%D%/control.c %D%/server.h \
	%D%/cut.c %D%/cut.h \
	%D%/extents.c %D%/extents.h \
	%D%/rules.c %D%/rules.h \
	%D%/stable.c %D%/stable.h \
	%D%/store.c %D%/store.h
libordeal_platter_a_SOURCES = $(PLATTER_DISK_SOURCES) \
	%D%/platter.c %D%/platter.h
libordeal_platter_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) \
	-DORDEAL_PKGLIBDIR='"$(pkglibdir)"'
ORDEAL_PLATTER_LIBS = libordeal-platter.a libordeal-provider.a \
	$(ORDEAL_BASE_LIBS)

# The nbdkit plugin: the one shared object, made without libtool.  Never with
# sanitizers, which would have to be loaded into nbdkit first; the store and
# the control protocol are tested under them by unit tests.
platterdir = $(pkglibdir)
platter_PROGRAMS = ordeal-platter.so
ordeal_platter_so_SOURCES = \
	$(PLATTER_DISK_SOURCES) \
	%D%/plugin.c %D%/socket.c \
	harness/base/arena.c harness/base/buf.c harness/base/crc32c.c \
	harness/base/error.c harness/base/rng.c
ordeal_platter_so_CPPFLAGS = $(AM_CPPFLAGS) $(NBDKIT_CFLAGS)
ordeal_platter_so_CFLAGS = $(ORDEAL_PLAIN_CFLAGS) -fPIC -fvisibility=hidden
ordeal_platter_so_LDFLAGS = -shared
EXTRA_DIST += docs/PLATTER.md
