# SPDX-License-Identifier: Apache-2.0
libordeal_analyzer_a_SOURCES += \
	%D%/cas-register.c \
	%D%/decode.h \
	%D%/functions.h \
	%D%/list-append.c \
	%D%/model.c %D%/model.h \
	%D%/register.c \
	%D%/registry.c %D%/registry.h \
	%D%/rw-register.c \
	%D%/txn.c %D%/txn.h
