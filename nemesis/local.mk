# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-nemesis.a
libordeal_nemesis_a_SOURCES = \
	%D%/boot.c %D%/boot.h \
	%D%/clock-faults.c \
	%D%/crash-point.c \
	%D%/daemon.c %D%/daemon.h \
	%D%/fabric/net-echo.c \
	%D%/fabric/net-fault.h \
	%D%/disk-fill.c \
	%D%/fabric/net-faults.c \
	%D%/fabric/net-links.c \
	%D%/fabric/net-params.c \
	%D%/fabric/net-pings.c \
	%D%/fanout.c %D%/fanout.h \
	%D%/fault.c %D%/fault.h \
	%D%/file-faults.c \
	%D%/guest.c %D%/guest.h \
	%D%/held.c %D%/held.h \
	%D%/journal.c %D%/journal.h \
	%D%/kill.c \
	%D%/nemesis.c %D%/nemesis.h %D%/nemesis-internal.h \
	%D%/nemesis-aim.c %D%/nemesis-hand.c %D%/nemesis-reboot.c \
	%D%/nemesis-record.c %D%/nemesis-recover.c \
	%D%/netem.c \
	%D%/null.c \
	%D%/params.c %D%/params.h \
	%D%/partition.c \
	%D%/pause.c \
	%D%/plan.c %D%/planner.c \
	%D%/platter/disk.c %D%/platter/disk.h \
	%D%/platter/disk-contents.c \
	%D%/platter/disk-faults.c \
	%D%/power-cut.c \
	%D%/pressure.c \
	%D%/probe.c %D%/probe.h \
	%D%/registry.c %D%/registry.h \
	%D%/schedule.c %D%/schedule.h %D%/schedule-internal.h \
	%D%/stop.c \
	%D%/target.c %D%/target.h \
	%D%/throttle-work.c %D%/throttle-work.h \
	%D%/trigger.c %D%/trigger.h \
	%D%/vm-restart.c \
	%D%/vm-rollback.c \
	%D%/vm-state.c \
	%D%/vm-throttle.c \
	%D%/watch.c %D%/watch.h
libordeal_nemesis_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
# Of the provider only what does not need a provider: the wrappers of machine.h.
ORDEAL_NEMESIS_LIBS = libordeal-nemesis.a libordeal-fabric.a \
	libordeal-provider.a libordeal-platter.a libordeal-provider.a
EXTRA_DIST += docs/FAULTS.md
include nemesis/harm/local.mk
include nemesis/platter/local.mk
