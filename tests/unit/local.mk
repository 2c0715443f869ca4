# One program per module; each ends with its own table of tests.
check_LIBRARIES += tests/unit/libunit.a
tests_unit_libunit_a_SOURCES = \
	tests/unit/ignore.c \
	tests/unit/ignore.h \
	tests/unit/unit.c \
	tests/unit/unit.h
tests_unit_libunit_a_CPPFLAGS = $(AM_CPPFLAGS) $(CUNIT_CFLAGS)

# For all programs that do not name their own.
LDADD = tests/unit/libunit.a $(COMMON_LDADD) $(JANSSON_LIBS) $(CUNIT_LIBS)

unit_tests = \
	tests/unit/test_backoff \
	tests/unit/test_bucket \
	tests/unit/test_budget \
	tests/unit/test_buf \
	tests/unit/test_client_carrier \
	tests/unit/test_client_setup \
	tests/unit/test_client_sleepwatch \
	tests/unit/test_client_status \
	tests/unit/test_conf \
	tests/unit/test_crypto \
	tests/unit/test_cwnd \
	tests/unit/test_frame \
	tests/unit/test_gate \
	tests/unit/test_gate_hello \
	tests/unit/test_gate_state \
	tests/unit/test_hello \
	tests/unit/test_keyfile \
	tests/unit/test_lanes \
	tests/unit/test_lanes_duplex \
	tests/unit/test_lanes_hello \
	tests/unit/test_log \
	tests/unit/test_net \
	tests/unit/test_noise \
	tests/unit/test_nrpc \
	tests/unit/test_pages \
	tests/unit/test_pump \
	tests/unit/test_ranges \
	tests/unit/test_record \
	tests/unit/test_recvq \
	tests/unit/test_sendq \
	tests/unit/test_server_devices \
	tests/unit/test_server_endpoint \
	tests/unit/test_server_handover \
	tests/unit/test_server_options \
	tests/unit/test_server_quota \
	tests/unit/test_server_registry \
	tests/unit/test_server_router \
	tests/unit/test_server_settings \
	tests/unit/test_server_sources \
	tests/unit/test_server_tls \
	tests/unit/test_session \
	tests/unit/test_session_state \
	tests/unit/test_state \
	tests/unit/test_wire

check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)

tests_unit_test_client_carrier_LDADD = tests/unit/libunit.a $(CLIENT_LDADD) $(CUNIT_LIBS)
tests_unit_test_client_setup_LDADD = tests/unit/libunit.a $(CLIENT_LDADD) $(CUNIT_LIBS)
tests_unit_test_client_sleepwatch_LDADD = tests/unit/libunit.a $(CLIENT_LDADD) $(CUNIT_LIBS)
tests_unit_test_client_status_LDADD = tests/unit/libunit.a $(CLIENT_LDADD) $(CUNIT_LIBS)
tests_unit_test_server_devices_LDADD = tests/unit/libunit.a $(SERVER_LDADD) $(CUNIT_LIBS)
tests_unit_test_server_endpoint_LDADD = tests/unit/libunit.a $(SERVER_LDADD) $(CUNIT_LIBS)
tests_unit_test_server_handover_LDADD = tests/unit/libunit.a $(SERVER_LDADD) $(CUNIT_LIBS)
tests_unit_test_server_options_LDADD = tests/unit/libunit.a $(SERVER_LDADD) $(CUNIT_LIBS)
tests_unit_test_server_quota_LDADD = tests/unit/libunit.a $(SERVER_LDADD) $(CUNIT_LIBS)
tests_unit_test_server_registry_LDADD = tests/unit/libunit.a $(SERVER_LDADD) $(CUNIT_LIBS)
tests_unit_test_server_router_LDADD = tests/unit/libunit.a $(SERVER_LDADD) $(CUNIT_LIBS)
tests_unit_test_server_settings_LDADD = tests/unit/libunit.a $(SERVER_LDADD) $(CUNIT_LIBS)
tests_unit_test_server_sources_LDADD = tests/unit/libunit.a $(SERVER_LDADD) $(CUNIT_LIBS)
tests_unit_test_server_tls_LDADD = tests/unit/libunit.a $(SERVER_LDADD) $(CUNIT_LIBS)
# The unit tests under valgrind; for a build without sanitizers.
check-valgrind: $(check_LIBRARIES) $(unit_tests)
	@test -n "$(VALGRIND)" || { \
	    echo "check-valgrind: apt-get install valgrind" >&2; exit 1; }
	$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS="$(unit_tests)" \
	    LOG_COMPILER="$(VALGRIND) --quiet --error-exitcode=99 \
	    --leak-check=full --show-leak-kinds=definite,possible"
