/*
 * From a new stream to a Domino server: which one is meant, whether it is
 * listed and allowed to the device, connecting, and the pump between them.
 * A stream without a name is read, not consumed, until its first NRPC packet
 * tells; the bytes stay in the stream until Domino takes them.
 *
 * Every stream's end, refusal and failure is logged here, once.
 */
#ifndef SERVER_ROUTER_H
#define SERVER_ROUTER_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "common/keyfile.h"
#include "common/session.h"
#include "server/devices.h"
#include "server/servers.h"

struct router;

/* Whose stream it is: copied. */
struct router_owner {
	char session[KEYFILE_ID_TEXT_LEN + 1];	/* for the log */
	char device[DEVICES_NAME_MAX + 1];	/* for the log */
	uint8_t key[32];
};

/* What the router decides by; borrowed until the next router_update. */
struct router_rules {
	const struct servers *servers;
	const struct devices *devices;
	const char *default_server;	/* NULL: none */
	uint64_t first_bytes_ms;	/* to wait for the first packet */
	uint64_t max_device;		/* streams of one device at once */
	uint64_t max_all;		/* streams at once; in any case three
					   quarters of the open files */
};

/* on_portion: as pump.h has it. 0 or ERR_NOMEM. */
int router_new(struct router **out, uv_loop_t *loop,
    const struct router_rules *rules, void (*on_portion)(void *ctx),
    void *ctx);

/* No streams are left (gate_close_all, then the loop ran). NULL is fine. */
void router_free(struct router *r);

/*
 * Other rules. Streams that they no longer allow are reset: the server is not
 * listed any more, or not allowed to the device.
 */
void router_update(struct router *r, const struct router_rules *rules);

/*
 * For an upgrade. router_settle makes what sockets and streams hold fit
 * together; afterwards, and after the sessions, router_export writes a section
 * STATE_ROUTE for each stream, which begins with the session's id and the
 * stream's, and collects the descriptors that go along.
 */
struct fds;
struct state_in;
struct state_out;
void router_settle(struct router *r);
void router_export(const struct router *r, struct state_out *o,
    struct fds *fds);

/*
 * The rest of such a section, behind the two ids: the stream is owner's. Of
 * fds that descriptor is taken which belongs to it. Nothing moves before
 * router_start. On failure stream and router are fit only to be freed. 0,
 * ERR_PROTO, ERR_NOMEM or ERR_IO.
 */
int router_import(struct router *r, const struct router_owner *owner,
    struct stream *st, struct state_in *in, struct fds *fds);
void router_start(struct router *r);

struct router_stats {
	unsigned streams;		/* now, also those that connect */
	/* Since router_new: */
	uint64_t opened, refused;	/* refused after they were opened */
	uint64_t limited_device, limited_all;	/* for max_device, max_all */
	uint64_t bytes_in, bytes_out;	/* to Domino, from Domino */
};
void router_get_stats(const struct router *r, struct router_stats *out);

/* Take over a stream that was just opened (gate_ops.on_open). */
void router_open(struct router *r, const struct router_owner *owner,
    struct stream *st, const char *name, size_t name_len);

#endif
