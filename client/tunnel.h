/*
 * The tunnel: joins the session's engine (common/lanes.h), the carrier of its
 * exchanges, the listeners and the Notes connections, and gives the engine
 * its clock. Logs when it comes up and goes down.
 */
#ifndef CLIENT_TUNNEL_H
#define CLIENT_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "client/guests.h"
#include "common/conf.h"
#include "common/keyfile.h"
#include "common/lanes.h"

struct tunnel;
struct setup;

struct tunnel_ops {
	/* tunnel_stop is done; the tunnel may be freed. */
	void (*on_stopped)(void *ctx);
};

/*
 * Listen and begin to connect. setup is borrowed for as long as the tunnel
 * lives; device is copied. 0, or an ERR_* with a sentence in why.
 */
int tunnel_new(struct tunnel **out, uv_loop_t *loop,
    const struct setup *setup, const struct noise_keys *device,
    const struct tunnel_ops *ops, void *ctx, char why[CONF_WHY_MAX]);

/*
 * End well: accept nothing more, reset what is there, say goodbye to the
 * gateway. Done within two seconds; on_stopped tells.
 */
void tunnel_stop(struct tunnel *t);

/* At once. The loop has to run until the handles are closed. */
void tunnel_free(struct tunnel *t);

/* For the status. The strings live until the loop goes on. */
enum tunnel_noticed {
	TUNNEL_NETWORK,		/* another interface, address or route */
	TUNNEL_WAKE,		/* the machine slept, or we were stopped */
	TUNNEL_SILENCE,		/* longer than the round trips explain */
	TUNNEL_NOTICED
};

struct tunnel_info {
	bool up;
	const char *reason;	/* of the last change, for people */
	uint64_t since_ms;	/* it has been in this state for so long */
	char session[KEYFILE_ID_TEXT_LEN + 1];
	const char *url;
	const char *http;	/* "HTTP/2", "" before the first response */
	uint32_t rtt_ms;
	/* What made us give up the connections, or doubt them, how often. */
	uint64_t noticed[TUNNEL_NOTICED];
	const char *noticed_what;	/* the last of it; "" for none */
	uint64_t noticed_ms;		/* so long ago */
	bool has_session;
	struct lanes_stats lanes;
	struct session_stats streams;	/* if has_session */
	const struct guests *guests;
	unsigned listeners;
};
void tunnel_get_info(struct tunnel *t, struct tunnel_info *out);

/* A listener's address, and its server or NULL for auto. */
const char *tunnel_listener(const struct tunnel *t, unsigned i,
    const char **server);

#endif
