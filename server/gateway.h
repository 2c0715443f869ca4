/*
 * The running gateway: joins the gate, the endpoint, the registry and the
 * router on one loop, and listens to signals. SIGHUP reads the configuration,
 * the certificate and the registry again (all but what is bound already and
 * the key); SIGTERM and SIGINT drain, a second one ends at once; SIGUSR1
 * writes the counters to the log; SIGUSR2 upgrades.
 *
 * An upgrade: the program is started once more, from where it was started
 * before, while this process goes on serving. The new process reads the
 * configuration, the certificate and the registry and says that it is ready.
 * Only then does the old one bring the exchanges under way to an end, write its
 * state (common/state.h) into a memory file and pass it on, with the listening
 * and Domino's sockets. The new one makes sessions, streams and connections of
 * it, says so, is told to go, and goes; the old one exits without a word to
 * anybody else. Domino sees nothing; clients see a response that ends and a
 * connection that is closed, and repeat what the lane rule says.
 *
 * The old process is there until the new one has proved that it can go on, and
 * takes over again at any failure before. That is why a new process is started
 * and the old one not replaced in place: after an exec there is nobody left to
 * fall back to, and whatever the new program does at its start would be part of
 * the pause. The price is another process id, which systemd is told (MAINPID).
 *
 * Never do both processes speak for a session: the old one has stopped before
 * the state is written, the new one begins when it is told to, and an old one
 * that goes on leaves out some record numbers all the same.
 * server/handover.h has the messages between the two.
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
	char **argv;		/* of the process, for an upgrade */
};

/* Run until it is told to end. The exit status: 0, or 1 after a log line. */
int gateway_run(const struct gateway_source *source);

#endif
