# SPDX-License-Identifier: Apache-2.0
# The replication core in a simulated cluster, seeded.
simulation_sources = \
	%D%/disk.c %D%/disk.h \
	%D%/history.c %D%/history.h %D%/history-lease.c %D%/history-model.c \
	%D%/machine.c %D%/machine.h \
	%D%/oracle.c %D%/oracle.h \
	%D%/profile.c \
	%D%/shrink.c \
	%D%/sim.c %D%/sim.h \
	%D%/toy.c %D%/toy.h \
	tests/lib/table-builder.h
simulation_libs = $(ORDEAL_VSR_LIBS) $(ORDEAL_REPLICA_LIBS) \
	$(ORDEAL_ANALYZER_LIBS)

check_PROGRAMS += simulate
simulate_SOURCES = %D%/simulate.c $(simulation_sources)
simulate_LDADD = $(simulation_libs)

check_PROGRAMS += test-simulation
test_simulation_SOURCES = %D%/test-simulation.c $(simulation_sources)
test_simulation_LDADD = $(simulation_libs)
TESTS += test-simulation

check_PROGRAMS += test-garbage
test_garbage_SOURCES = %D%/test-garbage.c
test_garbage_LDADD = $(ORDEAL_VSR_LIBS)
TESTS += test-garbage

check_PROGRAMS += test-scripted
test_scripted_SOURCES = %D%/test-scripted.c
test_scripted_LDADD = $(ORDEAL_VSR_LIBS)
TESTS += test-scripted
