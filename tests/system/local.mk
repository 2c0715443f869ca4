# Both daemons, a real web server and the stand-in Domino on loopback.
system_tests = \
	tests/system/admission.test \
	tests/system/bulk.test \
	tests/system/closing.test \
	tests/system/configuration-errors.test \
	tests/system/connections-cut.test \
	tests/system/counters.test \
	tests/system/crowd.test \
	tests/system/distance.test \
	tests/system/documented.test \
	tests/system/drain-and-reload.test \
	tests/system/duplex.test \
	tests/system/exchange-cost.test \
	tests/system/flood.test \
	tests/system/gateway-restarted.test \
	tests/system/hostile-domino.test \
	tests/system/linger.test \
	tests/system/many-streams.test \
	tests/system/mischief.test \
	tests/system/neighbours.test \
	tests/system/nginx-restarted.test \
	tests/system/nrpc-answer.test \
	tests/system/proxy.test \
	tests/system/queries.test \
	tests/system/resources.test \
	tests/system/roaming.test \
	tests/system/routing.test \
	tests/system/sleep.test \
	tests/system/stalled-reader.test \
	tests/system/upgrade.test \
	tests/system/web-servers.test

TESTS += $(system_tests)
EXTRA_DIST += $(system_tests) \
	tests/system/builds.py \
	tests/system/client.py \
	tests/system/gateway.py \
	tests/system/harness.py \
	tests/system/nginx.py \
	tests/system/process.py \
	tests/system/roads.py \
	tests/system/standins.py \
	tests/system/tap.py \
	tests/system/webservers.py \
	tests/system/workplace.py

# They measure time and memory: beside other tests, but one after the other.
TEST_LOG_COMPILER = $(FLOCK) $(PYTHON) -B
CLEANFILES += system-tests.lock
