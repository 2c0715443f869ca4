# What measures, and is not tested: built and run on purpose only.
EXTRA_PROGRAMS += tests/bench/fleet
tests_bench_fleet_SOURCES = \
	tests/bench/fleet.c \
	tests/bench/fleet_user.c \
	tests/bench/fleet_user.h
tests_bench_fleet_LDADD = tests/support/libsupport.a $(CLIENT_LDADD)

CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += \
	tests/bench/growth.py \
	tests/bench/memory.py \
	tests/bench/plot.py \
	tests/bench/rig.py

growth_programs = tests/bench/fleet $(bin_PROGRAMS) $(sbin_PROGRAMS) \
	tests/support/domino tests/support/guest

# Growth of one gateway: growth.json, growth.md, growth.svg; some minutes.
bench-growth: $(growth_programs)
	top_builddir='$(abs_top_builddir)' $(PYTHON) -B \
		$(srcdir)/tests/bench/growth.py

# Idle streams and sessions.
bench-memory: $(growth_programs)
	top_builddir='$(abs_top_builddir)' $(PYTHON) -B \
		$(srcdir)/tests/bench/memory.py streams
	top_builddir='$(abs_top_builddir)' $(PYTHON) -B \
		$(srcdir)/tests/bench/memory.py sessions
