# SPDX-License-Identifier: Apache-2.0
libordeal_analyzer_a_SOURCES += \
	%D%/allocator-jsonl.c \
	%D%/allocdb.c \
	%D%/edn.c \
	%D%/format.h \
	%D%/formats.h \
	%D%/input.c %D%/input.h \
	%D%/jepsen-edn.c \
	%D%/jepsen-json.c \
	%D%/json.c \
	%D%/limo.c \
	%D%/ordeal.c \
	%D%/ordeal-jsonl.c \
	%D%/op-map.c %D%/op-map.h \
	%D%/parse.c %D%/parse.h \
	%D%/porcupine-etcd.c \
	%D%/porcupine-kv.c \
	%D%/print.c %D%/print.h \
	%D%/register-tsv.c \
	%D%/registry.c \
	%D%/tree.c %D%/tree.h \
	%D%/typed.c %D%/typed.h \
	%D%/words.c \
	%D%/writer.c
EXTRA_DIST += docs/FORMATS.md
libordeal_analyzer_a_CPPFLAGS += $(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
ORDEAL_ANALYZER_LIBS += $(ZLIB_LIBS)
