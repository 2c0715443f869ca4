# What measures: built with the tests, run on purpose only.
bench_programs = \
	tests/bench/link \
	tests/bench/load

check_PROGRAMS += $(bench_programs) tests/bench/fleet
tests_bench_link_SOURCES = \
	tests/bench/link.c \
	tests/bench/tun.c \
	tests/bench/tun.h
tests_bench_link_CFLAGS = $(AM_CFLAGS) -pthread
tests_bench_link_LDADD =
tests_bench_load_SOURCES = \
	tests/bench/load.c \
	tests/bench/samples.c \
	tests/bench/samples.h \
	tests/bench/scenario.c \
	tests/bench/scenario.h \
	tests/bench/serve.c \
	tests/bench/serve.h \
	tests/bench/talk.c \
	tests/bench/talk.h
tests_bench_load_LDADD =
tests_bench_fleet_SOURCES = \
	tests/bench/fleet.c \
	tests/bench/fleet_user.c \
	tests/bench/fleet_user.h
tests_bench_fleet_LDADD = tests/support/libsupport.a $(CLIENT_LDADD)

EXTRA_DIST += \
	tests/bench/bench.py \
	tests/bench/growth.py \
	tests/bench/lines.py \
	tests/bench/memory.py \
	tests/bench/ours.py \
	tests/bench/peers.py \
	tests/bench/places.py \
	tests/bench/plot.py \
	tests/bench/proc.py \
	tests/bench/record.py \
	tests/bench/report.py \
	tests/bench/rig.py \
	tests/bench/verdict.py \
	tests/bench/web.py

# The tunnel beside raw TCP and other tunnels; as root. More than an hour, or
# make bench BENCH_ARGS=--quick
bench: $(bench_programs) $(bin_PROGRAMS) $(sbin_PROGRAMS)
	top_builddir='$(abs_top_builddir)' $(PYTHON) -B \
		$(srcdir)/tests/bench/bench.py $(BENCH_ARGS)

growth_programs = tests/bench/fleet $(bin_PROGRAMS) $(sbin_PROGRAMS) \
	tests/support/domino tests/support/guest

# Growth of one gateway: growth.json, growth.md, growth.svg; some minutes.
bench-growth: $(growth_programs)
	top_builddir='$(abs_top_builddir)' $(PYTHON) -B \
		$(srcdir)/tests/bench/growth.py

# Idle streams and sessions.
bench-memory: $(growth_programs)
	for what in streams sessions crowd; do \
		top_builddir='$(abs_top_builddir)' $(PYTHON) -B \
			$(srcdir)/tests/bench/memory.py $$what || exit 1; \
	done
