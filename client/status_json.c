#include "config.h"

#include <inttypes.h>
#include <stdint.h>
#include <unistd.h>

#include <jansson.h>

#include "client/status.h"
#include "client/tunnel.h"

static void add_guest(void *ctx, const struct guests_info *info)
{
	json_t *streams = ctx;
	json_t *o = json_pack("{s:s?, s:s, s:I, s:I}",
	    "server", info->server,
	    "peer", info->peer,
	    "bytes_in", (json_int_t)info->bytes_in,
	    "bytes_out", (json_int_t)info->bytes_out);

	/* Ids are below 2^62. One that is missing has not been opened yet. */
	if (info->stream != UINT64_MAX)
		json_object_set_new(o, "id",
		    json_integer((json_int_t)info->stream));
	json_array_append_new(streams, o);
}

static json_t *listeners(struct tunnel *t, unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++) {
		const char *server;
		const char *address = tunnel_listener(t, i, &server);

		json_array_append_new(list, json_pack("{s:s, s:s?}",
		    "address", address, "server", server));
	}
	return list;
}

static json_t *noticed(const struct tunnel_info *info)
{
	return json_pack("{s:I, s:I, s:I, s:s, s:I}",
	    "network_changes", (json_int_t)info->noticed[TUNNEL_NETWORK],
	    "wakes", (json_int_t)info->noticed[TUNNEL_WAKE],
	    "silences", (json_int_t)info->noticed[TUNNEL_SILENCE],
	    "last", info->noticed_what,
	    "last_ms", (json_int_t)info->noticed_ms);
}

static json_t *exchanges(const struct lanes_stats *l)
{
	return json_pack("{s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:i, s:I, s:I, "
	    "s:I}",
	    "total", (json_int_t)l->exchanges,
	    "streamed", (json_int_t)l->streamed,
	    "duplex", l->duplex ? 1 : 0,
	    "failed", (json_int_t)l->failed,
	    "hedged", (json_int_t)l->hedged,
	    "hellos", (json_int_t)l->hellos,
	    "sessions", (json_int_t)l->sessions,
	    "in_flight", (int)l->in_flight,
	    "body_max", (json_int_t)l->body_max,
	    "hold_ms", (json_int_t)l->hold_ms,
	    "window", (json_int_t)l->window);
}

static json_t *records(const struct session_stats *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:I, s:I}",
	    "records_in", (json_int_t)s->records_in,
	    "records_out", (json_int_t)s->records_out,
	    "bytes_in", (json_int_t)s->bytes_in,
	    "bytes_out", (json_int_t)s->bytes_out,
	    "frames_lost", (json_int_t)s->frames_lost,
	    "duplicates", (json_int_t)s->duplicates,
	    "streams_opened", (json_int_t)s->streams_opened,
	    "streams", (int)s->streams,
	    "recv_bytes", (json_int_t)s->recv_bytes,
	    "send_bytes", (json_int_t)s->send_bytes);
}

char *status_json(struct tunnel *tunnel)
{
	struct tunnel_info info;
	json_t *root, *streams;
	char *text;

	tunnel_get_info(tunnel, &info);
	streams = json_array();
	guests_each(info.guests, add_guest, streams);
	root = json_pack("{s:s, s:i, s:s, s:s, s:I, s:s, s:s, s:s, s:I}",
	    "version", PACKAGE_VERSION,
	    "pid", (int)getpid(),
	    "state", info.up ? "up" : "down",
	    "reason", info.reason,
	    "since_ms", (json_int_t)info.since_ms,
	    "session", info.session,
	    "gateway", info.url,
	    "http", info.http,
	    "rtt_ms", (json_int_t)info.rtt_ms);
	json_object_set_new(root, "listeners",
	    listeners(tunnel, info.listeners));
	json_object_set_new(root, "noticed", noticed(&info));
	json_object_set_new(root, "exchanges", exchanges(&info.lanes));
	if (info.has_session)
		json_object_set_new(root, "records", records(&info.streams));
	json_object_set_new(root, "streams", streams);
	text = json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(root);
	return text;
}
