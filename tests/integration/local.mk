# SPDX-License-Identifier: Apache-2.0
# Integration tests: real replicas as processes on loopback.
check_PROGRAMS += test-one-request
TESTS += test-one-request
test_one_request_SOURCES = %D%/test-one-request.c tests/lib/toy-server.h
test_one_request_LDADD = $(ORDEAL_DRIVER_LIBS) $(ORDEAL_WORKLOADS_LIBS) \
	$(ORDEAL_SYSTEMS_LIBS) $(ORDEAL_REMOTE_LIBS) $(ORDEAL_BASE_LIBS)

check_PROGRAMS += run-local
run_local_SOURCES = %D%/run-local.c \
	tests/lib/link-proxy.h tests/lib/local-cluster.h tests/lib/ports.h
run_local_LDADD = $(ORDEAL_DRIVER_LIBS) $(ORDEAL_WORKLOADS_LIBS) \
	$(ORDEAL_SYSTEMS_LIBS) $(ORDEAL_ANALYZER_LIBS) $(ORDEAL_REMOTE_LIBS) \
	$(ORDEAL_BASE_LIBS)
TESTS += %D%/test-local-runs.sh
EXTRA_DIST += %D%/test-local-runs.sh

check_PROGRAMS += test-replica-cluster
TESTS += test-replica-cluster
test_replica_cluster_SOURCES = %D%/test-replica-cluster.c \
	tests/lib/ports.h \
	tests/lib/replica-cluster.c tests/lib/replica-cluster.h \
	tests/lib/link-proxy.h
test_replica_cluster_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
test_replica_cluster_LDADD = libordeal-base.a $(JANSSON_LIBS)
EXTRA_test_replica_cluster_DEPENDENCIES = ordeal-replica

check_PROGRAMS += test-replica-engines
TESTS += test-replica-engines
test_replica_engines_SOURCES = %D%/test-replica-engines.c \
	tests/lib/ports.h \
	tests/lib/replica-cluster.c tests/lib/replica-cluster.h \
	tests/lib/link-proxy.h
test_replica_engines_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
test_replica_engines_LDADD = libordeal-base.a $(JANSSON_LIBS)
EXTRA_test_replica_engines_DEPENDENCIES = ordeal-replica

check_PROGRAMS += test-replica-crash
TESTS += test-replica-crash
test_replica_crash_SOURCES = %D%/test-replica-crash.c \
	tests/lib/ports.h \
	tests/lib/replica-cluster.c tests/lib/replica-cluster.h \
	tests/lib/link-proxy.h
test_replica_crash_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
test_replica_crash_LDADD = $(ORDEAL_REPLICA_LIBS)
EXTRA_test_replica_crash_DEPENDENCIES = ordeal-replica

check_PROGRAMS += test-replica-recovery
TESTS += test-replica-recovery
test_replica_recovery_SOURCES = %D%/test-replica-recovery.c \
	tests/lib/ports.h \
	tests/lib/replica-cluster.c tests/lib/replica-cluster.h \
	tests/lib/link-proxy.h
test_replica_recovery_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
test_replica_recovery_LDADD = libordeal-base.a $(JANSSON_LIBS)
EXTRA_test_replica_recovery_DEPENDENCIES = ordeal-replica

TESTS += %D%/bad-input.sh
EXTRA_DIST += %D%/bad-input.sh

check_PROGRAMS += test-fabric
TESTS += test-fabric
test_fabric_SOURCES = %D%/test-fabric.c
test_fabric_LDADD = $(ORDEAL_FABRIC_LIBS)
EXTRA_test_fabric_DEPENDENCIES = ordeal-ns-port

# The platter with a real nbdkit: skips without one.
check_PROGRAMS += test-platter
TESTS += test-platter
test_platter_SOURCES = %D%/test-platter.c tests/lib/platter-fixture.h
test_platter_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(NBD_CFLAGS)
test_platter_LDADD = $(ORDEAL_PLATTER_LIBS) $(NBD_LIBS)
EXTRA_test_platter_DEPENDENCIES = ordeal-platter.so

check_PROGRAMS += test-fault-fabric
TESTS += test-fault-fabric
test_fault_fabric_SOURCES = %D%/test-fault-fabric.c tests/lib/fault-fixture.h
test_fault_fabric_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
test_fault_fabric_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_PROVIDER_LIBS)
EXTRA_test_fault_fabric_DEPENDENCIES = ordeal-ns-port

check_PROGRAMS += test-client-hosts
TESTS += test-client-hosts
test_client_hosts_SOURCES = %D%/test-client-hosts.c tests/lib/toy-server.h
test_client_hosts_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
test_client_hosts_LDADD = $(ORDEAL_SYSTEMS_LIBS) $(ORDEAL_PROVIDER_LIBS)
EXTRA_test_client_hosts_DEPENDENCIES = ordeal-ns-port

# The faults of disks with a real nbdkit.
check_PROGRAMS += test-fault-disk
TESTS += test-fault-disk
test_fault_disk_SOURCES = %D%/test-fault-disk.c tests/lib/fake-held.c \
	tests/lib/fake-remote.c tests/lib/fake-remote.h \
	tests/lib/platter-fixture.h
test_fault_disk_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(NBD_CFLAGS)
test_fault_disk_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_REMOTE_LIBS) $(NBD_LIBS)
EXTRA_test_fault_disk_DEPENDENCIES = ordeal-platter.so

check_PROGRAMS += test-fault-local
TESTS += test-fault-local
test_fault_local_SOURCES = %D%/test-fault-local.c \
	tests/lib/link-proxy.h tests/lib/local-cluster.h tests/lib/ports.h
test_fault_local_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
test_fault_local_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_SYSTEMS_LIBS) \
	$(ORDEAL_REMOTE_LIBS) $(ORDEAL_BASE_LIBS)
EXTRA_test_fault_local_DEPENDENCIES = ordeal-replica

TESTS += %D%/certificates
EXTRA_DIST += %D%/certificates
