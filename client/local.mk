CLIENT_LDADD = client/libclient.a $(COMMON_LDADD) $(CURL_LIBS) $(JANSSON_LIBS)

noinst_LIBRARIES += client/libclient.a
client_libclient_a_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS) $(JANSSON_CFLAGS)
client_libclient_a_SOURCES = \
	client/carrier.c \
	client/carrier.h \
	client/carrier_body.c \
	client/carrier_body.h \
	client/carrier_detail.c \
	client/carrier_detail.h \
	client/carrier_easy.c \
	client/carrier_easy.h \
	client/carrier_paths.c \
	client/carrier_paths.h \
	client/carrier_pool.c \
	client/carrier_pool.h \
	client/carrier_request.c \
	client/carrier_request.h \
	client/guests.c \
	client/guests.h \
	client/listener.c \
	client/listener.h \
	client/netpath.h \
	client/netpath_linux.c \
	client/netwatch.h \
	client/netwatch_linux.c \
	client/options.c \
	client/options.h \
	client/run.c \
	client/run.h \
	client/settings.c \
	client/settings.h \
	client/setup.c \
	client/setup.h \
	client/sleepwatch.c \
	client/sleepwatch.h \
	client/sleepwatch_linux.c \
	client/status.c \
	client/status.h \
	client/status_json.c \
	client/status_show.c \
	client/tunnel.c \
	client/tunnel.h \
	client/tunnel_impl.h \
	client/tunnel_join.c

bin_PROGRAMS += client/nrpc-tunnel
client_nrpc_tunnel_SOURCES = client/main.c
client_nrpc_tunnel_LDADD = $(CLIENT_LDADD)
