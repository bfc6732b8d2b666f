# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-platter.a
libordeal_platter_a_SOURCES = \
	%D%/cut.c %D%/cut.h \
	%D%/extents.c %D%/extents.h \
	%D%/stable.c %D%/stable.h \
	%D%/store.c %D%/store.h
ORDEAL_PLATTER_LIBS = libordeal-platter.a $(ORDEAL_BASE_LIBS)
