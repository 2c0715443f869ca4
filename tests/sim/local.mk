# Two engines back to back under a virtual clock and a hostile network.
check_PROGRAMS += tests/sim/sim
tests_sim_sim_SOURCES = \
	tests/sim/apps.c \
	tests/sim/apps.h \
	tests/sim/events.c \
	tests/sim/events.h \
	tests/sim/faults.c \
	tests/sim/faults.h \
	tests/sim/leg.c \
	tests/sim/leg.h \
	tests/sim/life.c \
	tests/sim/life.h \
	tests/sim/net.c \
	tests/sim/net.h \
	tests/sim/net_impl.h \
	tests/sim/net_request.c \
	tests/sim/net_response.c \
	tests/sim/pattern.c \
	tests/sim/pattern.h \
	tests/sim/rng.c \
	tests/sim/rng.h \
	tests/sim/scenarios.c \
	tests/sim/scenarios.h \
	tests/sim/scenarios_away.c \
	tests/sim/scenarios_duplex.c \
	tests/sim/scenarios_impl.h \
	tests/sim/scenarios_many.c \
	tests/sim/sim.c \
	tests/sim/trace.c \
	tests/sim/trace.h \
	tests/sim/world.c \
	tests/sim/world.h \
	tests/sim/world_impl.h \
	tests/sim/world_ops.c \
	tests/sim/world_upgrade.c
tests_sim_sim_LDADD = common/libengine.a $(GNUTLS_LIBS) $(NETTLE_LIBS)

sim_tests = \
	tests/sim/broken.sh \
	tests/sim/seeds.sh

TESTS += $(sim_tests)
EXTRA_DIST += $(sim_tests)
