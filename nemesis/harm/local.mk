# SPDX-License-Identifier: Apache-2.0
# Static, and free of sanitizers, as the guest image's programs are: it runs on
# any guest of this architecture.
bin_PROGRAMS += ordeal-harm
ordeal_harm_SOURCES = \
	%D%/clock.c \
	%D%/file.c \
	%D%/fill.c \
	%D%/harm.h \
	%D%/hold.c \
	%D%/load.c \
	%D%/main.c \
	%D%/note.c \
	harness/base/rng.c \
	$(GUEST_BASE)
ordeal_harm_CFLAGS = $(GUEST_COMPILE)
ordeal_harm_LDFLAGS = $(GUEST_LINK)
