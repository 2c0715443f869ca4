# Every parser of foreign bytes has a target. With --enable-fuzzing they are
# libFuzzer programs to be run by hand; otherwise our own driver runs each for
# a while in `make check`.
fuzz_targets = \
	tests/fuzz/fuzz_conf \
	tests/fuzz/fuzz_frame \
	tests/fuzz/fuzz_gate \
	tests/fuzz/fuzz_hello \
	tests/fuzz/fuzz_lanes \
	tests/fuzz/fuzz_nrpc \
	tests/fuzz/fuzz_ranges \
	tests/fuzz/fuzz_record \
	tests/fuzz/fuzz_server_settings

if FUZZING
FUZZ_LINK = -fsanitize=fuzzer
FUZZ_LIB =
noinst_PROGRAMS += $(fuzz_targets)
else
FUZZ_LINK =
FUZZ_LIB = tests/fuzz/libdriver.a
check_LIBRARIES += tests/fuzz/libdriver.a
tests_fuzz_libdriver_a_SOURCES = tests/fuzz/driver.c
check_PROGRAMS += $(fuzz_targets)
TESTS += $(fuzz_targets)
endif

# What the targets share that attack a whole engine with the session's keys.
fuzz_forge = \
	tests/fuzz/choices.c \
	tests/fuzz/choices.h \
	tests/fuzz/forge.c \
	tests/fuzz/forge.h \
	tests/fuzz/users.c \
	tests/fuzz/users.h

CLEANFILES += crash-fuzz_*

tests_fuzz_fuzz_conf_LDADD = $(FUZZ_LIB) $(COMMON_LDADD)
tests_fuzz_fuzz_conf_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_frame_LDADD = $(FUZZ_LIB) $(COMMON_LDADD)
tests_fuzz_fuzz_frame_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_gate_SOURCES = \
	tests/fuzz/fuzz_gate.c $(fuzz_forge)
tests_fuzz_fuzz_gate_LDADD = $(FUZZ_LIB) $(COMMON_LDADD)
tests_fuzz_fuzz_gate_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_hello_LDADD = $(FUZZ_LIB) $(COMMON_LDADD)
tests_fuzz_fuzz_hello_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_lanes_SOURCES = \
	tests/fuzz/fuzz_lanes.c $(fuzz_forge)
tests_fuzz_fuzz_lanes_LDADD = $(FUZZ_LIB) $(COMMON_LDADD)
tests_fuzz_fuzz_lanes_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_nrpc_LDADD = $(FUZZ_LIB) $(COMMON_LDADD)
tests_fuzz_fuzz_nrpc_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_ranges_LDADD = $(FUZZ_LIB) $(COMMON_LDADD)
tests_fuzz_fuzz_ranges_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_record_LDADD = $(FUZZ_LIB) $(COMMON_LDADD)
tests_fuzz_fuzz_record_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_server_settings_LDADD = $(FUZZ_LIB) $(SERVER_LDADD)
tests_fuzz_fuzz_server_settings_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
