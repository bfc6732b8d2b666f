# SPDX-License-Identifier: Apache-2.0
include tests/unit/local.mk
include tests/integration/local.mk
include tests/simulation/local.mk
include tests/e2e/local.mk
include tests/fuzz/local.mk
include tests/bench/local.mk
include tests/corpora/local.mk
EXTRA_DIST += %D%/lib/tap.h
EXTRA_DIST += %D%/tidy.sh

# check-fast: each commit.  check: that and what needs minutes.  The parts that
# need virtual machines are check-e2e (tests/check-all runs all of it).
TIDY_TESTS = %D%/tidy.sh
# What claims rest on, for a gate with these programs that has no build tree
# (docs/GATE.md).
tests-results: all
	ORDEAL_COMMIT=$$(git -C $(srcdir) rev-parse HEAD 2>/dev/null || \
		echo unknown) ./ordeal gate --tests . \
		--write-tests tests-results.json
check-local: check-TESTS
	$(MAKE) $(AM_MAKEFLAGS) tests-results
CLEANFILES += tests-results.json
.PHONY: tests-results
.PHONY: check-fast check-unit check-rest check-tidy check-e2e
check-unit: $(check_PROGRAMS)
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(UNIT_TESTS)'
# What check has beside the unit tests: processes and their timing, one by one.
check-rest: all $(check_PROGRAMS)
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS \
		TESTS='$(filter-out $(UNIT_TESTS),$(TESTS))'
	$(MAKE) $(AM_MAKEFLAGS) tests-results
check-tidy:
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(TIDY_TESTS)'
check-fast: $(check_PROGRAMS)
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(UNIT_TESTS) $(TIDY_TESTS)'
check-e2e: all $(check_PROGRAMS)
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(E2E_TESTS)'

# check-nightly: random histories against brute force, a million a model
# (NIGHTLY_TRIALS), and schedules of the simulation that no night had before
# (NIGHTLY_SCHEDULES, from a seed that is printed), for some hours; check-unit
# and check run a few seconds of the same.
# And, on virtual machines, runs over whole families of faults, and each fault
# with its driver killed at each step.
NIGHTLY_TRIALS = 1000000
NIGHTLY_SCHEDULES = 200000
NIGHTLY_TESTS = test-engines test-exact-register test-exact-queue \
	test-exact-set test-exact-screens test-txn test-platter-model \
	test-model-lease-kernel test-model-allocator test-model-quota-pool \
	test-checkers-random test-simulation tests/e2e/run-mixes.sh \
	tests/e2e/fault-matrix.sh
.PHONY: check-nightly
check-nightly: $(check_PROGRAMS)
	ORDEAL_TRIALS=$(NIGHTLY_TRIALS) ORDEAL_TXN_TRIALS=$(NIGHTLY_TRIALS) \
	ORDEAL_TEST_TRIALS=$(NIGHTLY_TRIALS) \
	ORDEAL_PLATTER_TRIALS=$(NIGHTLY_TRIALS) ORDEAL_NIGHTLY=1 \
	ORDEAL_SEED=$$(date +%s) ORDEAL_SCHEDULES=$(NIGHTLY_SCHEDULES) \
		$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(NIGHTLY_TESTS)'
