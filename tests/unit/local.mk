# SPDX-License-Identifier: Apache-2.0
# Unit tests: no virtual machine, no network beyond loopback, seconds.
UNIT_TESTS =
UNIT_TESTS += test-base
test_base_SOURCES = %D%/test-base.c
test_base_LDADD = $(ORDEAL_BASE_LIBS)
UNIT_TESTS += test-remote-ssh
test_remote_ssh_SOURCES = %D%/test-remote-ssh.c tests/lib/sshd.h
test_remote_ssh_LDADD = $(ORDEAL_REMOTE_LIBS)

UNIT_TESTS += test-scenario
test_scenario_SOURCES = %D%/test-scenario.c
test_scenario_LDADD = $(ORDEAL_DRIVER_LIBS) $(ORDEAL_BASE_LIBS)
UNIT_TESTS += test-expectation
test_expectation_SOURCES = %D%/test-expectation.c
test_expectation_LDADD = $(ordeal_LDADD) $(ORDEAL_REPLICA_LIBS)
UNIT_TESTS += test-failure
test_failure_SOURCES = %D%/test-failure.c
test_failure_LDADD = $(ordeal_LDADD)
UNIT_TESTS += test-gate
test_gate_SOURCES = %D%/test-gate.c
test_gate_LDADD = $(ordeal_LDADD)
UNIT_TESTS += test-matrix
test_matrix_SOURCES = %D%/test-matrix.c
test_matrix_LDADD = $(ordeal_LDADD)
UNIT_TESTS += test-loss
test_loss_SOURCES = %D%/test-loss.c
test_loss_LDADD = $(ORDEAL_DRIVER_LIBS) $(ORDEAL_BASE_LIBS)
UNIT_TESTS += test-options
test_options_SOURCES = %D%/test-options.c
test_options_LDADD = $(ORDEAL_DRIVER_LIBS) $(ORDEAL_BASE_LIBS)
UNIT_TESTS += test-switch
test_switch_SOURCES = %D%/test-switch.c tests/lib/frames.h \
	tests/lib/stations.h
test_switch_LDADD = $(ORDEAL_FABRIC_LIBS)
UNIT_TESTS += test-switch-frame test-switch-link test-switch-rules
UNIT_TESTS += test-switch-pcap
test_switch_pcap_SOURCES = %D%/test-switch-pcap.c tests/lib/frames.h \
	tests/lib/stations.h
test_switch_pcap_LDADD = $(ORDEAL_FABRIC_LIBS)
UNIT_TESTS += test-switch-shape
test_switch_shape_SOURCES = %D%/test-switch-shape.c
test_switch_shape_LDADD = $(ORDEAL_FABRIC_LIBS)
test_switch_rules_SOURCES = %D%/test-switch-rules.c tests/lib/frames.h \
	tests/lib/stations.h
test_switch_rules_LDADD = $(ORDEAL_FABRIC_LIBS)
test_switch_frame_SOURCES = %D%/test-switch-frame.c tests/lib/frames.h
test_switch_frame_LDADD = $(ORDEAL_FABRIC_LIBS)
test_switch_link_SOURCES = %D%/test-switch-link.c tests/lib/frames.h
test_switch_link_LDADD = $(ORDEAL_FABRIC_LIBS)

UNIT_TESTS += test-platter-store test-platter-model test-platter-control
test_platter_control_SOURCES = %D%/test-platter-control.c
test_platter_control_LDADD = $(ORDEAL_PLATTER_LIBS)
test_platter_store_SOURCES = %D%/test-platter-store.c
test_platter_store_LDADD = $(ORDEAL_PLATTER_LIBS)
test_platter_model_SOURCES = %D%/test-platter-model.c
test_platter_model_LDADD = $(ORDEAL_PLATTER_LIBS)

UNIT_TESTS += test-history
test_history_SOURCES = %D%/test-history.c tests/lib/random-event.h
test_history_LDADD = $(ORDEAL_BASE_LIBS)
UNIT_TESTS += test-bundle
test_bundle_SOURCES = %D%/test-bundle.c
test_bundle_LDADD = $(ORDEAL_ARTIFACTS_LIBS) $(ORDEAL_BASE_LIBS)
UNIT_TESTS += test-history-text
test_history_text_SOURCES = %D%/test-history-text.c tests/lib/random-event.h
test_history_text_LDADD = $(ORDEAL_DRIVER_LIBS) $(ORDEAL_BASE_LIBS)

UNIT_TESTS += test-formats
test_formats_SOURCES = %D%/test-formats.c
test_formats_LDADD = $(ORDEAL_ANALYZER_LIBS)

UNIT_TESTS += test-journal
test_journal_SOURCES = %D%/test-journal.c
test_journal_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_REMOTE_LIBS)
UNIT_TESTS += test-fault
test_fault_SOURCES = %D%/test-fault.c tests/lib/fake-held.c tests/lib/fake-remote.c \
	tests/lib/fault-fixture.h \
	tests/lib/fake-remote.h
test_fault_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_REMOTE_LIBS)
UNIT_TESTS += test-fault-power
test_fault_power_SOURCES = %D%/test-fault-power.c tests/lib/fake-held.c \
	tests/lib/fake-remote.c tests/lib/fake-remote.h
test_fault_power_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_REMOTE_LIBS)
UNIT_TESTS += test-fault-net
test_fault_net_SOURCES = %D%/test-fault-net.c tests/lib/ns-guest.c \
	tests/lib/fault-fixture.h \
	tests/lib/ns-guest.h
test_fault_net_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_REMOTE_LIBS)
UNIT_TESTS += test-fault-nemesis
test_fault_nemesis_SOURCES = %D%/test-fault-nemesis.c \
	tests/lib/fake-held.c tests/lib/fake-remote.c tests/lib/fake-remote.h \
	tests/lib/nemesis-fixture.h
test_fault_nemesis_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_REMOTE_LIBS)
UNIT_TESTS += test-nemesis-aim
test_nemesis_aim_SOURCES = %D%/test-nemesis-aim.c \
	tests/lib/fake-held.c tests/lib/fake-remote.c tests/lib/fake-remote.h \
	tests/lib/nemesis-fixture.h
test_nemesis_aim_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_REMOTE_LIBS)
UNIT_TESTS += test-nemesis-hand
test_nemesis_hand_SOURCES = %D%/test-nemesis-hand.c \
	tests/lib/fake-held.c tests/lib/fake-remote.c tests/lib/fake-remote.h \
	tests/lib/nemesis-fixture.h
test_nemesis_hand_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_REMOTE_LIBS)
UNIT_TESTS += test-fault-torture
test_fault_torture_SOURCES = %D%/test-fault-torture.c \
	tests/lib/fake-held.c tests/lib/fake-remote.c tests/lib/fake-remote.h \
	tests/lib/nemesis-fixture.h
test_fault_torture_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_REMOTE_LIBS)
UNIT_TESTS += test-schedule
test_schedule_SOURCES = %D%/test-schedule.c
test_schedule_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_REMOTE_LIBS)

UNIT_TESTS += test-engine-plain
test_engine_plain_SOURCES = %D%/test-engine-plain.c
test_engine_plain_LDADD = $(ORDEAL_REPLICA_LIBS) $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-engine-lease test-replica-log test-replica-command
test_replica_command_SOURCES = %D%/test-replica-command.c
test_replica_command_LDADD = $(ORDEAL_REPLICA_LIBS)
test_engine_lease_SOURCES = %D%/test-engine-lease.c
test_engine_lease_LDADD = $(ORDEAL_REPLICA_LIBS)
test_replica_log_SOURCES = %D%/test-replica-log.c
test_replica_log_LDADD = $(ORDEAL_REPLICA_LIBS)

UNIT_TESTS += test-load
test_load_SOURCES = %D%/test-load.c tests/lib/fake-system.h
test_load_LDADD = $(ORDEAL_DRIVER_LIBS) $(ORDEAL_WORKLOADS_LIBS) \
	$(ORDEAL_BASE_LIBS)

UNIT_TESTS += test-checkers-others
test_checkers_others_SOURCES = %D%/test-checkers-others.c \
	tests/lib/table-builder.h
test_checkers_others_LDADD = $(ORDEAL_ANALYZER_LIBS)

UNIT_TESTS += test-workloads
test_workloads_SOURCES = %D%/test-workloads.c tests/lib/fake-system.h
test_workloads_LDADD = $(ORDEAL_WORKLOADS_LIBS) $(ORDEAL_SYSTEMS_LIBS) \
	$(ORDEAL_REMOTE_LIBS) $(ORDEAL_ANALYZER_LIBS) $(ORDEAL_BASE_LIBS)

UNIT_TESTS += test-reservation-contention
test_reservation_contention_SOURCES = %D%/test-reservation-contention.c \
	tests/lib/fake-system.h
test_reservation_contention_LDADD = $(ORDEAL_WORKLOADS_LIBS) \
	$(ORDEAL_ANALYZER_LIBS)

UNIT_TESTS += test-system-replica
test_system_replica_SOURCES = %D%/test-system-replica.c tests/lib/toy-server.h \
	tests/lib/scripted-node.h
test_system_replica_LDADD = $(ORDEAL_SYSTEMS_LIBS) $(ORDEAL_REMOTE_LIBS) \
	$(ORDEAL_BASE_LIBS)

UNIT_TESTS += test-system-custom
test_system_custom_SOURCES = %D%/test-system-custom.c \
	tests/lib/scripted-node.h
test_system_custom_LDADD = $(ordeal_LDADD)

UNIT_TESTS += test-replica-client
test_replica_client_SOURCES = %D%/test-replica-client.c tests/lib/toy-server.h
test_replica_client_LDADD = $(ORDEAL_SYSTEMS_LIBS) $(ORDEAL_BASE_LIBS)

UNIT_TESTS += test-image test-image-config test-image-supervisor
test_image_SOURCES = %D%/test-image.c
test_image_LDADD = $(ORDEAL_IMAGE_LIBS)
test_image_config_SOURCES = %D%/test-image-config.c \
	vm-images/guest-config.c vm-images/guest-config.h
test_image_config_LDADD = $(ORDEAL_BASE_LIBS)
test_image_supervisor_SOURCES = %D%/test-image-supervisor.c \
	vm-images/init-process.c vm-images/supervisor.c vm-images/svc-wire.c
test_image_supervisor_LDADD = $(ORDEAL_BASE_LIBS)

UNIT_TESTS += test-analyzer
test_analyzer_SOURCES = %D%/test-analyzer.c tests/lib/table-builder.h
test_analyzer_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-calls
test_calls_SOURCES = %D%/test-calls.c
test_calls_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-exact-register
test_exact_register_SOURCES = %D%/test-exact-register.c \
	tests/lib/exact-trial.h
test_exact_register_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-engines
test_engines_SOURCES = %D%/test-engines.c tests/lib/engines-agree.h \
	tests/lib/random-calls.h \
	tests/lib/random-models.h
test_engines_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-models
test_models_SOURCES = %D%/test-models.c tests/lib/max-register.c \
	tests/lib/random-calls.h tests/lib/random-models.h
test_models_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-txn
test_txn_SOURCES = %D%/test-txn.c tests/lib/txn-builder.h
test_txn_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-model-lease-kernel
test_model_lease_kernel_SOURCES = %D%/test-model-lease-kernel.c \
	tests/lib/engines-agree.h
test_model_lease_kernel_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-exact-screens
test_exact_screens_SOURCES = %D%/test-exact-screens.c tests/lib/exact-trial.h
test_exact_screens_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-exact-set
test_exact_set_SOURCES = %D%/test-exact-set.c tests/lib/exact-trial.h
test_exact_set_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-exact-corpora
test_exact_corpora_SOURCES = %D%/test-exact-corpora.c tests/lib/exact-trial.h
test_exact_corpora_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-exact-queue
test_exact_queue_SOURCES = %D%/test-exact-queue.c tests/lib/exact-trial.h
test_exact_queue_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-model-allocator
test_model_allocator_SOURCES = %D%/test-model-allocator.c \
	tests/lib/engines-agree.h \
	tests/lib/random-trial.h tests/lib/table-builder.h \
	tests/lib/tiny-allocator.h
test_model_allocator_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-model-quota-pool
test_model_quota_pool_SOURCES = %D%/test-model-quota-pool.c \
	tests/lib/engines-agree.h
test_model_quota_pool_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-analyzer-cli
test_analyzer_cli_SOURCES = %D%/test-analyzer-cli.c
test_analyzer_cli_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-checkers
test_checkers_SOURCES = %D%/test-checkers.c tests/lib/table-builder.h
test_checkers_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-provider
test_provider_SOURCES = %D%/test-provider.c
test_provider_LDADD = $(ORDEAL_PROVIDER_LIBS)
UNIT_TESTS += test-checkers-random
test_checkers_random_SOURCES = %D%/test-checkers-random.c \
	tests/lib/random-trial.h tests/lib/table-builder.h \
	tests/lib/tiny-allocator.h
test_checkers_random_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-checkers-engine
test_checkers_engine_SOURCES = %D%/test-checkers-engine.c \
	tests/lib/table-builder.h
test_checkers_engine_LDADD = libordeal-replica.a $(ORDEAL_ANALYZER_LIBS)

check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)

UNIT_TESTS += test-explain
test_explain_SOURCES = %D%/test-explain.c
test_explain_LDADD = $(ORDEAL_ANALYZER_LIBS)
UNIT_TESTS += test-certificate
test_certificate_SOURCES = %D%/test-certificate.c
test_certificate_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
test_certificate_LDADD = $(ORDEAL_ANALYZER_LIBS)
