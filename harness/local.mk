# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-driver.a
libordeal_driver_a_SOURCES = \
	%D%/history-tool.c %D%/history-tool.h \
	%D%/load.c %D%/load.h \
	%D%/options.c %D%/options.h \
	%D%/paths.c %D%/paths.h \
	%D%/scenario.c %D%/scenario.h \
	%D%/yaml.c %D%/yaml.h
libordeal_driver_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(YAML_CFLAGS) \
	-DORDEAL_SRCDIR='"$(abs_top_srcdir)"' \
	-DORDEAL_DATADIR='"$(pkgdatadir)"' -DORDEAL_BINDIR='"$(bindir)"'
ORDEAL_DRIVER_LIBS = libordeal-driver.a $(YAML_LIBS) $(ORDEAL_ARTIFACTS_LIBS)

scenariosdir = $(pkgdatadir)/scenarios
dist_scenarios_DATA = \
	scenarios/bugs.yaml \
	scenarios/reservation_contention-control.yaml \
	scenarios/reservation_contention-crash-restart.yaml \
	scenarios/reservation_contention-partition-heal.yaml
suitesdir = $(pkgdatadir)/scenarios/suites
dist_suites_DATA = scenarios/suites/smoke.yaml
