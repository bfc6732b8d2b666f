# SPDX-License-Identifier: Apache-2.0
libordeal_analyzer_a_SOURCES += \
	%D%/format.h \
	%D%/tree.c %D%/tree.h
