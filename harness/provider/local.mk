# SPDX-License-Identifier: Apache-2.0
include nemesis/fabric/local.mk
noinst_LIBRARIES += libordeal-provider.a
libordeal_provider_a_SOURCES = \
	%D%/accelerator.c %D%/accelerator.h \
	%D%/client-hosts.c %D%/client-hosts.h \
	%D%/cluster.c %D%/cluster.h \
	%D%/domain-xml.c %D%/domain-xml.h \
	%D%/guest-files.c %D%/guest-files.h \
	%D%/libvirt.c \
	%D%/libvirt-connection.c %D%/libvirt-connection.h \
	%D%/libvirt-machine.c %D%/libvirt-machine.h \
	%D%/local.c \
	%D%/machine.c %D%/machine.h \
	%D%/orphans.c %D%/orphans.h \
	%D%/provider.c %D%/provider.h \
	%D%/registry.c \
	%D%/runtime-dir.c %D%/runtime-dir.h \
	%D%/supervise.c %D%/supervise.h
libordeal_provider_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBVIRT_CFLAGS) \
	$(JANSSON_CFLAGS)
ORDEAL_PROVIDER_LIBS = libordeal-provider.a libordeal-platter.a libordeal-fabric.a \
	libordeal-remote.a $(LIBVIRT_LIBS) $(SSH2_LIBS) $(ORDEAL_BASE_LIBS)
