# SPDX-License-Identifier: Apache-2.0
libordeal_analyzer_a_SOURCES += \
	%D%/certificate.c \
	%D%/choices.c \
	%D%/core-history.c \
	%D%/edges.c \
	%D%/explain.h \
	%D%/html.c %D%/html.h \
	%D%/layout.c %D%/layout.h \
	%D%/relevant.c %D%/relevant.h \
	%D%/shrink.c \
	%D%/story-kernel.c %D%/story.h \
	%D%/suppose.c %D%/suppose.h \
	%D%/svg.c \
	%D%/text.c \
	%D%/words.c %D%/words.h
EXTRA_DIST += docs/CERTIFICATE.md docs/EXPLANATIONS.md
dist_bin_SCRIPTS += %D%/ordeal-verify
