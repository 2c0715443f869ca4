/* Where connections and requests come from, and how many may from there. */
#include "config.h"

#include "server/endpoint_request.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include <microhttpd.h>

#include "common/log.h"
#include "common/net.h"

#define LOG_MS 60000u		/* between two lines about one limit */
#define FORWARDED "X-Forwarded-For"

bool endpoint_log_allow(struct endpoint *e, enum endpoint_limit limit,
    unsigned *suppressed)
{
	return log_allow(&e->limit_logs[limit], net_now_ms(e->loop), 1, LOG_MS,
	    suppressed);
}

/* ---- connections ------------------------------------------------------ */

/* Does it come from a proxy that tells whom it speaks for? */
static bool is_proxy(const struct endpoint *e, const struct sockaddr *sa,
    uint8_t address[16])
{
	return !networks_address(sa, address) ||
	    (e->proxies != NULL && networks_contain(e->proxies, address));
}

static void note_strangers(struct endpoint *e, const uint8_t address[16])
{
	char source[SOURCES_TEXT_MAX];
	unsigned suppressed;

	if (endpoint_log_allow(e, LIMIT_STRANGERS, &suppressed))
		log_warn("limit reached limit=max_strangers value=%" PRIu64
		    " source=%s suppressed=%u", e->limits.max_strangers,
		    sources_text(address, source), suppressed);
}

bool origin_may_connect(struct endpoint *e, const struct sockaddr *sa)
{
	uint8_t address[16];

	if (is_proxy(e, sa, address))
		return true;
	sources_reduce(address);
	if (!sources_is_full(e->sources, address))
		return true;
	note_strangers(e, address);
	return false;
}

void origin_of_connection(struct endpoint *e, const struct sockaddr *sa,
    struct connection *c)
{
	struct origin *o = &c->origin;

	c->by_proxy = is_proxy(e, sa, o->address);
	if (c->by_proxy)
		return;
	o->known = true;
	sources_reduce(o->address);
	o->place = sources_enter(e->sources, o->address, net_now_ms(e->loop));
}

void origin_leave(struct endpoint *e, struct origin *o)
{
	if (o->place != NULL)
		sources_leave(e->sources, o->place);
	o->place = NULL;
}

/* ---- requests --------------------------------------------------------- */

/* The last header of that name, as each proxy puts its own behind. */
static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind,
    const char *key, const char *value)
{
	(void)kind;
	if (value != NULL && strcasecmp(key, FORWARDED) == 0)
		*(const char **)cls = value;
	return MHD_YES;
}

static void find_forwarded(struct MHD_Connection *mhd, const char **out)
{
	*out = NULL;
	(void)MHD_get_connection_values(mhd, MHD_HEADER_KIND, on_header,
	    (void *)out);
}

/*
 * The last address of the list: the only one that the proxy has seen itself.
 * With a port or without: "192.0.2.1:80", "[2001:db8::1]:80".
 */
static bool last_address(const char *list, uint8_t out[16])
{
	const char *at = strrchr(list, ',');
	char text[64];
	size_t len;

	at = at == NULL ? list : at + 1;
	at += strspn(at, " \t\"[");
	len = strcspn(at, " \t\"]");
	if (len >= sizeof(text))
		return false;
	memcpy(text, at, len);
	text[len] = '\0';
	if (networks_parse(text, out))
		return true;
	text[strcspn(text, ":")] = '\0';	/* IPv4 with a port */
	return networks_parse(text, out);
}

bool origin_of_request(struct endpoint *e, struct MHD_Connection *mhd,
    struct origin *o)
{
	unsigned suppressed;
	const char *list;

	find_forwarded(mhd, &list);
	o->known = list != NULL && last_address(list, o->address);
	if (!o->known) {
		if (endpoint_log_allow(e, LIMIT_NO_SOURCE, &suppressed))
			log_debug("source unknown remedy=\"let the web "
			    "server set " FORWARDED "\"");
		return true;
	}
	sources_reduce(o->address);
	o->place = sources_enter(e->sources, o->address, net_now_ms(e->loop));
	if (o->place == NULL)
		note_strangers(e, o->address);
	return o->place != NULL;
}

static void note_hello(struct endpoint *e, const struct origin *o,
    enum sources_verdict verdict)
{
	bool is_all = verdict == SOURCES_LIMIT_ALL;
	char source[SOURCES_TEXT_MAX];
	unsigned suppressed;

	if (endpoint_log_allow(e, is_all ? LIMIT_HELLO_ALL : LIMIT_HELLO,
	    &suppressed))
		log_warn("limit reached limit=%s value=%" PRIu64
		    " source=%s suppressed=%u",
		    is_all ? "hello_rate_all" : "hello_rate",
		    is_all ? e->limits.hello_rate_all : e->limits.hello_rate,
		    o->known ? sources_text(o->address, source) : "-",
		    suppressed);
}

bool endpoint_may_hello(struct endpoint *e)
{
	const struct origin *o = request_origin(e->current);
	enum sources_verdict verdict = sources_hello(e->sources,
	    o->known ? o->address : NULL, net_now_ms(e->loop));

	if (verdict != SOURCES_OK)
		note_hello(e, o, verdict);
	return verdict == SOURCES_OK;
}

/* ---- for the log ------------------------------------------------------ */

const char *endpoint_peer(const struct endpoint *e,
    char out[ENDPOINT_PEER_MAX])
{
	const union MHD_ConnectionInfo *info;
	const char *list = NULL;
	struct MHD_Connection *mhd;
	char text[NET_TEXT_MAX];

	if (e->current == NULL)
		return "-";
	mhd = request_mhd(e->current);
	if (connection_of(mhd)->by_proxy)
		find_forwarded(mhd, &list);
	if (list != NULL)
		return log_clean(out, ENDPOINT_PEER_MAX, list, strlen(list));
	info = MHD_get_connection_info(mhd,
	    MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info == NULL || info->client_addr == NULL)
		return "-";
	if (info->client_addr->sa_family == AF_UNIX)	/* it has no name */
		return "unix";
	net_text(info->client_addr, text, sizeof(text));
	return log_clean(out, ENDPOINT_PEER_MAX, text, strlen(text));
}
