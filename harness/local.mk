# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libordeal-driver.a
libordeal_driver_a_SOURCES = \
	%D%/deploy.c %D%/deploy.h \
	%D%/expectation.c %D%/expectation.h \
	%D%/failure.c %D%/failure.h \
	%D%/gate/claims.c %D%/gate/claims.h \
	%D%/gate/gate.c %D%/gate/gate.h \
	%D%/gate/lane.c %D%/gate/lane.h \
	%D%/gate/matrix.c %D%/gate/matrix.h \
	%D%/gate/state.c %D%/gate/state.h \
	%D%/gate/table.c %D%/gate/table.h \
	%D%/gate/test-results.c %D%/gate/test-results.h \
	%D%/hand.c %D%/hand.h \
	%D%/history-tool.c %D%/history-tool.h \
	%D%/load.c %D%/load.h \
	%D%/loss.c %D%/loss.h \
	%D%/options.c %D%/options.h \
	%D%/output.c %D%/output.h \
	%D%/paths.c %D%/paths.h \
	%D%/progress.c %D%/progress.h \
	%D%/readiness.c %D%/readiness.h \
	%D%/recover.c \
	%D%/run.c %D%/run.h \
	%D%/run-cluster.c \
	%D%/run-exits.c \
	%D%/run-failure.c \
	%D%/run-internal.h \
	%D%/run-load.c \
	%D%/run-network.c \
	%D%/run-report.c \
	%D%/scenario-compose.c %D%/scenario-compose.h \
	%D%/scenario.c %D%/scenario.h \
	%D%/site.c %D%/site.h \
	%D%/yaml.c %D%/yaml.h
libordeal_driver_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(YAML_CFLAGS) \
	-DORDEAL_SRCDIR='"$(abs_top_srcdir)"' \
	-DORDEAL_DATADIR='"$(pkgdatadir)"' -DORDEAL_BINDIR='"$(bindir)"'

bin_PROGRAMS += ordeal
ordeal_SOURCES = \
	%D%/cmd-check.c \
	%D%/cmd-cluster.c \
	%D%/cmd-doctor.c \
	%D%/cmd-fault.c \
	%D%/cmd-gate.c \
	%D%/cmd-history.c \
	%D%/cmd-image.c \
	%D%/cmd-plan.c \
	%D%/cmd-recover.c \
	%D%/cmd-run.c \
	%D%/commands.h \
	%D%/main.c
ordeal_CPPFLAGS = $(libordeal_driver_a_CPPFLAGS)
ordeal_LDADD = libordeal-driver.a $(ORDEAL_NEMESIS_LIBS) \
	$(ORDEAL_WORKLOADS_LIBS) $(ORDEAL_SYSTEMS_LIBS) $(ORDEAL_PROVIDER_LIBS) \
	$(ORDEAL_IMAGE_LIBS) $(ORDEAL_REMOTE_LIBS) $(ORDEAL_ANALYZER_LIBS) \
	$(ORDEAL_ARTIFACTS_LIBS) $(YAML_LIBS) $(ORDEAL_BASE_LIBS)

ORDEAL_DRIVER_LIBS = libordeal-driver.a $(YAML_LIBS) $(ORDEAL_ARTIFACTS_LIBS)

scenariosdir = $(pkgdatadir)/scenarios
dist_scenarios_DATA = scenarios/bugs.yaml scenarios/claims.yaml \
	scenarios/failure-matrix.yaml
familiesdir = $(pkgdatadir)/scenarios/families
dist_families_DATA = \
	scenarios/families/ambiguous_write_retry.yaml \
	scenarios/families/block_register.yaml \
	scenarios/families/expiration_and_recovery.yaml \
	scenarios/families/failover_read_fences.yaml \
	scenarios/families/failures.yaml \
	scenarios/families/failures_short_log.yaml \
	scenarios/families/lease_safety.yaml \
	scenarios/families/pool_holds.yaml \
	scenarios/families/quota.yaml \
	scenarios/families/reservation_contention.yaml \
	scenarios/families/retry_pressure.yaml
nemesesdir = $(pkgdatadir)/scenarios/nemesis
dist_nemeses_DATA = \
	scenarios/nemesis/acknowledged-failover.yaml \
	scenarios/nemesis/aimed.yaml \
	scenarios/nemesis/clock.yaml \
	scenarios/nemesis/corrupted-frames.yaml \
	scenarios/nemesis/disks-and-files.yaml \
	scenarios/nemesis/machines.yaml \
	scenarios/nemesis/backup_crash_during_catch_up.yaml \
	scenarios/nemesis/clock_jump.yaml \
	scenarios/nemesis/corrupted_log.yaml \
	scenarios/nemesis/corrupted_metadata.yaml \
	scenarios/nemesis/corrupted_snapshot.yaml \
	scenarios/nemesis/disk_full.yaml \
	scenarios/nemesis/full_split.yaml \
	scenarios/nemesis/interrupted_snapshot_transfer.yaml \
	scenarios/nemesis/majority_partition.yaml \
	scenarios/nemesis/minority_partition.yaml \
	scenarios/nemesis/power_cut_of_all.yaml \
	scenarios/nemesis/primary_crash_after_quorum.yaml \
	scenarios/nemesis/primary_crash_after_reply.yaml \
	scenarios/nemesis/primary_crash_before_quorum.yaml \
	scenarios/nemesis/primary_crash_before_reply.yaml \
	scenarios/nemesis/truncated_log.yaml \
	scenarios/nemesis/control.yaml \
	scenarios/nemesis/crash-restart.yaml \
	scenarios/nemesis/fabric-partition.yaml \
	scenarios/nemesis/mixed-failover.yaml \
	scenarios/nemesis/partition-heal.yaml \
	scenarios/nemesis/power-cut.yaml
suitesdir = $(pkgdatadir)/scenarios/suites
dist_suites_DATA = scenarios/suites/ci.yaml \
	scenarios/suites/failure-matrix.yaml \
	scenarios/suites/nightly.yaml \
	scenarios/suites/release-gate.yaml scenarios/suites/smoke.yaml
