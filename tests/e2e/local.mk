# SPDX-License-Identifier: Apache-2.0
# End to end, with virtual machines: about ten minutes without KVM.
E2E_TESTS =
E2E_TESTS += %D%/image-boot.sh %D%/image-reproducible.sh
E2E_TESTS += %D%/cluster-by-hand.sh
E2E_TESTS += %D%/run-crash-restart.sh
E2E_TESTS += %D%/run-planted-bug.sh
E2E_TESTS += %D%/driver-dies.sh
E2E_TESTS += %D%/unprivileged.sh
EXTRA_DIST += $(E2E_TESTS) %D%/bug-matrix tests/lib/tap.sh

# After EXTRA_DIST has taken the scripts: this one is built.
E2E_TESTS += test-provider-vm
check_PROGRAMS += test-provider-vm
test_provider_vm_SOURCES = %D%/test-provider-vm.c
test_provider_vm_LDADD = $(ORDEAL_PROVIDER_LIBS) $(ORDEAL_IMAGE_LIBS)
