SERVER_LDADD = server/libserver.a $(COMMON_LDADD) $(MICROHTTPD_LIBS) \
	$(SQLITE_LIBS) $(JANSSON_LIBS)

noinst_LIBRARIES += server/libserver.a
server_libserver_a_CPPFLAGS = $(AM_CPPFLAGS) $(MICROHTTPD_CFLAGS) \
	$(SQLITE_CFLAGS) $(JANSSON_CFLAGS)
server_libserver_a_SOURCES = \
	server/check.c \
	server/check.h \
	server/devices.c \
	server/devices.h \
	server/domino.c \
	server/domino.h \
	server/endpoint.c \
	server/endpoint.h \
	server/endpoint_connection.c \
	server/endpoint_listen.c \
	server/endpoint_quiesce.c \
	server/endpoint_request.c \
	server/endpoint_request.h \
	server/endpoint_shard.c \
	server/endpoint_source.c \
	server/endpoint_tls.c \
	server/endpoint_tls.h \
	server/fds.c \
	server/fds.h \
	server/gateway.c \
	server/gateway.h \
	server/gateway_control.c \
	server/gateway_counters.c \
	server/gateway_impl.h \
	server/gateway_sessions.c \
	server/gateway_takeover.c \
	server/gateway_upgrade.c \
	server/handover.c \
	server/handover.h \
	server/hangup.c \
	server/hangup.h \
	server/listen.c \
	server/listen.h \
	server/networks.c \
	server/networks.h \
	server/notify.c \
	server/notify.h \
	server/options.c \
	server/options.h \
	server/privilege.c \
	server/privilege.h \
	server/quota.c \
	server/quota.h \
	server/registry.c \
	server/registry.h \
	server/registry_cli.c \
	server/registry_cli.h \
	server/registry_db.h \
	server/registry_open.c \
	server/registry_watch.c \
	server/registry_watch.h \
	server/router.c \
	server/router.h \
	server/router_impl.h \
	server/router_state.c \
	server/servers.c \
	server/servers.h \
	server/settings.c \
	server/settings.h \
	server/settings_table.c \
	server/sources.c \
	server/sources.h

sbin_PROGRAMS += server/nrpc-gateway
server_nrpc_gateway_SOURCES = server/main.c
server_nrpc_gateway_LDADD = $(SERVER_LDADD)
