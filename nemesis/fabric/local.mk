# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-fabric.a
libordeal_fabric_a_SOURCES = \
	%D%/drops.c %D%/drops.h \
	%D%/frame.c %D%/frame.h \
	%D%/link.c %D%/link.h \
	%D%/link-set.h \
	%D%/namespace-port.c %D%/namespace-port.h \
	%D%/namespace-wire.h \
	%D%/pcap.c %D%/pcap.h \
	%D%/port.c %D%/port.h \
	%D%/queue.c %D%/queue.h \
	%D%/shape.c %D%/shape.h \
	%D%/switch.c %D%/switch.h
ORDEAL_FABRIC_LIBS = libordeal-fabric.a $(ORDEAL_BASE_LIBS)
EXTRA_DIST += docs/FABRIC.md

bin_PROGRAMS += ordeal-ns-port
ordeal_ns_port_SOURCES = \
	%D%/namespace-helper.c \
	%D%/namespace-wire.h \
	%D%/netlink.c %D%/netlink.h
