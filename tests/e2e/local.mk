# SPDX-License-Identifier: Apache-2.0
# End to end, with virtual machines: about half an hour without KVM.
E2E_TESTS = \
	%D%/image-boot.sh \
	%D%/image-reproducible.sh \
	%D%/provider-vm.sh \
	%D%/fault-machine.sh \
	%D%/run-power-cut.sh \
	%D%/guest-faults.sh \
	%D%/cluster-by-hand.sh \
	%D%/run-plan.sh \
	%D%/run-planted-bug.sh \
	%D%/driver-dies.sh \
	%D%/fault-matrix.sh \
	%D%/gate.sh \
	%D%/system-crashes.sh \
	%D%/unprivileged.sh
EXTRA_DIST += $(E2E_TESTS) %D%/run-mixes.sh %D%/bug-matrix tests/lib/tap.sh

check_PROGRAMS += test-provider-vm
test_provider_vm_SOURCES = %D%/test-provider-vm.c
test_provider_vm_LDADD = $(ORDEAL_PROVIDER_LIBS) $(ORDEAL_IMAGE_LIBS)

check_PROGRAMS += test-fault-machine
test_fault_machine_SOURCES = %D%/test-fault-machine.c
test_fault_machine_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
test_fault_machine_LDADD = $(ORDEAL_DRIVER_LIBS) $(ORDEAL_NEMESIS_LIBS) \
	$(ORDEAL_SYSTEMS_LIBS) $(ORDEAL_PROVIDER_LIBS) $(ORDEAL_IMAGE_LIBS) \
	$(ORDEAL_REMOTE_LIBS) $(ORDEAL_BASE_LIBS)

check_PROGRAMS += test-guest-faults
test_guest_faults_SOURCES = %D%/test-guest-faults.c
test_guest_faults_LDADD = $(ORDEAL_NEMESIS_LIBS) $(ORDEAL_SYSTEMS_LIBS) \
	$(ORDEAL_PROVIDER_LIBS) $(ORDEAL_IMAGE_LIBS) $(ORDEAL_REMOTE_LIBS) \
	$(ORDEAL_BASE_LIBS)
