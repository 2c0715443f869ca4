# The programs that tests and quickstart talk to; they need no CUnit.
include tests/support/local.mk
include tests/bench/local.mk

if CAN_CHECK
include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/model/local.mk
include tests/sim/local.mk
include tests/system/local.mk
else
check-local:
	@echo "make check: missing: $(CHECK_MISSING); install with" >&2
	@echo "    apt-get install $(CHECK_MISSING)" >&2
	@echo "and run configure again" >&2
	@false
endif

# Every test writes TAP, compiled ones as well as scripts.
TEST_EXTENSIONS = .test .sh
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_DRIVER = $(TAP_DRIVER)
TEST_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = $(SHELL)

# Where tests find what they need; automake sets srcdir. A leak, or anything
# else that a sanitizer finds, fails the test by its exit status.
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	ASAN_OPTIONS="detect_leaks=1:$$ASAN_OPTIONS"; export ASAN_OPTIONS; \
	UBSAN_OPTIONS="print_stacktrace=1:$$UBSAN_OPTIONS"; \
	export UBSAN_OPTIONS;

EXTRA_DIST += tests/vectors/noise-ik.json tests/vectors/state-1.hex

# Lines of the engine that unit tests and simulation run; with gcc.
coverage:
	@$(SHELL) $(srcdir)/tests/coverage.sh $(srcdir)

# In the directory that this makes.
coverage-run: $(check_LIBRARIES) $(unit_tests) tests/sim/sim
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS="$(unit_tests) $(sim_tests)"
.PHONY: bench bench-growth bench-memory check-valgrind coverage coverage-run

EXTRA_DIST += tests/coverage.sh
clean-local:
	rm -rf coverage
