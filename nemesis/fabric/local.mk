# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-fabric.a
libordeal_fabric_a_SOURCES = %D%/switch.c %D%/switch.h
ORDEAL_FABRIC_LIBS = libordeal-fabric.a $(ORDEAL_BASE_LIBS)
