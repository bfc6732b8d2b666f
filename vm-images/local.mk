# SPDX-License-Identifier: Apache-2.0
# The guest's programs are static, and free of sanitizers and of the paths of
# this build: the same sources give the same image in any directory.
GUEST_COMPILE = $(AM_CFLAGS) -fno-sanitize=all \
	-ffile-prefix-map=$(top_srcdir)/=
GUEST_LINK = -static -s -Wl,--build-id=none
GUEST_BASE = \
	harness/base/arena.c harness/base/buf.c harness/base/clock.c \
	harness/base/error.c harness/base/file.c

pkglibexec_PROGRAMS = %D%/ordeal-init %D%/ordeal-svc
%C%_ordeal_init_SOURCES = \
	%D%/guest-config.c %D%/guest-config.h \
	%D%/init.c %D%/init.h \
	%D%/init-disk.c \
	%D%/init-modules.c \
	%D%/init-network.c \
	%D%/init-process.c \
	%D%/supervisor.c %D%/supervisor.h \
	%D%/svc-wire.h \
	$(GUEST_BASE)
%C%_ordeal_init_CFLAGS = $(GUEST_COMPILE)
%C%_ordeal_init_LDFLAGS = $(GUEST_LINK)
%C%_ordeal_svc_SOURCES = \
	%D%/svc.c %D%/svc-wire.c %D%/svc-wire.h \
	harness/base/error.c
%C%_ordeal_svc_CFLAGS = $(GUEST_COMPILE)
%C%_ordeal_svc_LDFLAGS = $(GUEST_LINK)

imagedatadir = $(pkgdatadir)/vm-images
dist_imagedata_DATA = \
	%D%/files.list %D%/modules.list %D%/packages.list
dist_imagedata_SCRIPTS = %D%/build-image.sh

noinst_LIBRARIES += libordeal-image.a
libordeal_image_a_SOURCES = %D%/image.c %D%/image.h
libordeal_image_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) \
	-DORDEAL_SRCDIR='"$(abs_top_srcdir)"' \
	-DORDEAL_IMAGEDATADIR='"$(imagedatadir)"' \
	-DORDEAL_LIBEXECDIR='"$(pkglibexecdir)"'
ORDEAL_IMAGE_LIBS = libordeal-image.a $(ORDEAL_BASE_LIBS)
