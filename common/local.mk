# The engine: bytes in, bytes out, and what it stands on.
noinst_LIBRARIES += common/libengine.a
common_libengine_a_CPPFLAGS = $(AM_CPPFLAGS) $(GNUTLS_CFLAGS) $(NETTLE_CFLAGS)
common_libengine_a_SOURCES = \
	common/backoff.c \
	common/backoff.h \
	common/bucket.c \
	common/bucket.h \
	common/budget.c \
	common/budget.h \
	common/buf.c \
	common/buf.h \
	common/crypto.c \
	common/crypto.h \
	common/cwnd.c \
	common/cwnd.h \
	common/err.c \
	common/err.h \
	common/fill.c \
	common/frame.c \
	common/frame.h \
	common/gate.c \
	common/gate.h \
	common/gate_device.c \
	common/gate_due.c \
	common/gate_duplex.c \
	common/gate_exchange.c \
	common/gate_hello.c \
	common/gate_impl.h \
	common/gate_policy.c \
	common/gate_queue.c \
	common/gate_response.c \
	common/gate_state.c \
	common/gate_state.h \
	common/hello.c \
	common/hello.h \
	common/lane_table.c \
	common/lane_table.h \
	common/lanes.c \
	common/lanes.h \
	common/lanes_answer.c \
	common/lanes_duplex.c \
	common/lanes_hedge.c \
	common/lanes_hello.c \
	common/lanes_impl.h \
	common/lanes_io.c \
	common/lanes_limits.c \
	common/lanes_path.c \
	common/log.c \
	common/log.h \
	common/noise.c \
	common/noise.h \
	common/nrpc.c \
	common/nrpc.h \
	common/pages.c \
	common/pages.h \
	common/ranges.c \
	common/ranges.h \
	common/receive.c \
	common/record.c \
	common/record.h \
	common/recvq.c \
	common/recvq.h \
	common/sendq.c \
	common/sendq.h \
	common/sent.c \
	common/sent.h \
	common/session.c \
	common/session.h \
	common/session_impl.h \
	common/session_state.c \
	common/session_state.h \
	common/state.c \
	common/state.h \
	common/stream.c \
	common/stream_question.c \
	common/stream_state.c \
	common/wire.c \
	common/wire.h

# The platform: files, sockets, configuration, and the pump that joins both.
noinst_LIBRARIES += common/libplatform.a
common_libplatform_a_CPPFLAGS = $(AM_CPPFLAGS) $(INIH_CFLAGS)
common_libplatform_a_SOURCES = \
	common/conf.c \
	common/conf.h \
	common/conf_value.c \
	common/keyfile.c \
	common/keyfile.h \
	common/net.c \
	common/net.h \
	common/pump.c \
	common/pump.h
