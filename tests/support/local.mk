# The stand-in Domino, the guests that talk to it, and the link between.
check_LIBRARIES += tests/support/libsupport.a
tests_support_libsupport_a_SOURCES = \
	tests/support/address.c \
	tests/support/address.h \
	tests/support/conn.c \
	tests/support/conn.h \
	tests/support/http.c \
	tests/support/http.h \
	tests/support/pattern.c \
	tests/support/pattern.h \
	tests/support/peer.c \
	tests/support/peer.h \
	tests/support/script.c \
	tests/support/script.h \
	tests/support/tally.c \
	tests/support/tally.h

support_programs = \
	tests/support/domino \
	tests/support/flood \
	tests/support/guest \
	tests/support/mischief \
	tests/support/relay

check_PROGRAMS += $(support_programs)
tests_support_domino_LDADD = tests/support/libsupport.a $(UV_LIBS)
tests_support_flood_LDADD = tests/support/libsupport.a
tests_support_guest_SOURCES = \
	tests/support/guest.c \
	tests/support/guest_call.c \
	tests/support/guest_impl.h \
	tests/support/guest_play.c
tests_support_guest_LDADD = tests/support/libsupport.a $(UV_LIBS)
tests_support_mischief_SOURCES = \
	tests/support/exchange.c \
	tests/support/exchange.h \
	tests/support/exchange_impl.h \
	tests/support/exchange_response.c \
	tests/support/mischief.c \
	tests/support/mischief.h \
	tests/support/plan.c \
	tests/support/plan.h \
	tests/support/repeat.c \
	tests/support/repeat.h \
	tests/support/visit.c \
	tests/support/visit.h \
	tests/support/way.c \
	tests/support/way.h
tests_support_mischief_LDADD = tests/support/libsupport.a $(UV_LIBS)
tests_support_relay_SOURCES = \
	tests/support/relay.c \
	tests/support/relay_impl.h \
	tests/support/relay_link.c \
	tests/support/relay_pair.c
tests_support_relay_LDADD = tests/support/libsupport.a $(UV_LIBS)
