# SPDX-License-Identifier: Apache-2.0
libordeal_analyzer_a_SOURCES += \
	%D%/explain.h \
	%D%/relevant.c %D%/relevant.h \
	%D%/shrink.c \
	%D%/suppose.c %D%/suppose.h
EXTRA_DIST += docs/EXPLANATIONS.md
