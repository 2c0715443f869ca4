/*
 * The running gateway: joins the gate, the endpoint, the registry and the
 * router on one loop, and listens to signals. SIGHUP reads the configuration,
 * the certificate and the registry again (all but what is bound already and
 * the key); SIGTERM and SIGINT drain, a second one ends at once.
 */
#ifndef SERVER_GATEWAY_H
#define SERVER_GATEWAY_H

#include <stddef.h>

#include "server/settings.h"

/* What the settings are read from, now and at every SIGHUP; borrowed. */
struct gateway_source {
	const char *file;
	const struct settings_option *options;
	size_t option_count;
};

/* Run until it is told to end. The exit status: 0, or 1 after a log line. */
int gateway_run(const struct gateway_source *source);

#endif
