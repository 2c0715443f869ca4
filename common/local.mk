# The engine: bytes in, bytes out, and what it stands on.
noinst_LIBRARIES += common/libengine.a
common_libengine_a_CPPFLAGS = $(AM_CPPFLAGS) $(GNUTLS_CFLAGS) $(NETTLE_CFLAGS)
common_libengine_a_SOURCES = \
	common/backoff.c \
	common/backoff.h \
	common/buf.c \
	common/buf.h \
	common/err.c \
	common/err.h \
	common/log.c \
	common/log.h \
	common/pages.c \
	common/pages.h \
	common/ranges.c \
	common/ranges.h \
	common/wire.c \
	common/wire.h

# The platform: files, sockets, configuration, and the pump that joins both.
