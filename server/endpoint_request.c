#include "config.h"

#include "server/endpoint_request.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "common/crypto.h"
#include "common/err.h"
#include "common/keyfile.h"
#include "common/net.h"

#define STREAM_BLOCK (64u * 1024u)
#define QUIET_MS 5000u		/* held for so long, nothing is going on */

struct request {
	TAILQ_ENTRY(request) link;	/* while suspended */
	struct endpoint *endpoint;
	struct connection *connection;
	struct MHD_Connection *mhd;
	struct gate_exchange *exchange;	/* NULL: it will be the 404 */
	uint64_t body_len;		/* so far */
	uint64_t body_wanted;		/* Content-Length; 0 without */
	bool suspended;
	bool is_ready;			/* in the list of those to resume */
	bool resumed;			/* and not called back since */
	bool gone;			/* nobody waits for the response */
	bool done;			/* the gate has given everything */
	bool turned_away;		/* too many strangers of its source */
	struct origin origin;		/* of its own, where a proxy sent it */
	uint64_t begun_ms;
	uint64_t heard_ms;		/* when its body last went on */
	uint8_t *stage;			/* what was pulled and not yet given */
	size_t stage_at, stage_len;
};

/* ---- the 404 ---------------------------------------------------------- */

struct MHD_Response *request_not_found(void)
{
	static char text[] = "<html><head><title>404 Not Found</title></head>"
	    "<body><h1>Not Found</h1></body></html>\n";
	struct MHD_Response *response;

	response = MHD_create_response_from_buffer(sizeof(text) - 1, text,
	    MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
		return NULL;
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
	    "text/html") == MHD_YES)
		return response;
	MHD_destroy_response(response);
	return NULL;
}

static bool answer_not_found(struct request *r)
{
	return MHD_queue_response(r->mhd, MHD_HTTP_NOT_FOUND,
	    r->endpoint->not_found) == MHD_YES;
}

/* ---- suspending ------------------------------------------------------- */

static void suspend(struct request *r)
{
	MHD_suspend_connection(r->mhd);
	r->suspended = true;
	TAILQ_INSERT_TAIL(&r->endpoint->held, r, link);
}

/* The gate has something: to be resumed by endpoint_run, not inside it. */
static void on_ready(void *ctx)
{
	struct request *r = ctx;

	if (!r->suspended || r->is_ready)
		return;
	TAILQ_REMOVE(&r->endpoint->held, r, link);
	TAILQ_INSERT_TAIL(&r->endpoint->ready, r, link);
	r->is_ready = true;
}

void request_hang_up(struct request *r)
{
	r->gone = true;
	on_ready(r);
}

void request_resume(struct request *r)
{
	struct endpoint *e = r->endpoint;
	struct shard *s = r->connection->shard;

	TAILQ_REMOVE(r->is_ready ? &e->ready : &e->held, r, link);
	r->is_ready = false;
	r->suspended = false;
	r->resumed = true;
	if (s->resumed++ == 0)
		LIST_INSERT_HEAD(&e->resumed, s, resumed_link);
	MHD_resume_connection(r->mhd);
}

static void called_back(struct request *r)
{
	struct shard *s = r->connection->shard;

	if (!r->resumed)
		return;
	r->resumed = false;
	if (--s->resumed == 0)
		LIST_REMOVE(s, resumed_link);
}

/* ---- the response ----------------------------------------------------- */

/*
 * The last response of its connection: before the gateway ends; and after a
 * quiet time, for a web server, as the next request is likely to be held again
 * and costs less memory on a new one.
 */
static bool is_last(const struct request *r)
{
	const struct endpoint *e = r->endpoint;

	return e->closing || (r->origin.known &&
	    r->connection->listener->tls == NULL &&
	    net_now_ms(e->loop) - r->heard_ms >= QUIET_MS);
}

static bool queue(struct request *r, struct MHD_Response *response)
{
	static const char *const headers[][2] = {
		{ MHD_HTTP_HEADER_CONTENT_TYPE, "application/octet-stream" },
		{ MHD_HTTP_HEADER_CACHE_CONTROL, "no-store, no-transform" },
		{ "X-Accel-Buffering", "no" },
		{ MHD_HTTP_HEADER_CONNECTION, "close" },
	};
	size_t count = sizeof(headers) / sizeof(*headers);
	bool ok = response != NULL;

	if (!is_last(r))
		count--;
	for (size_t i = 0; ok && i < count; i++)
		ok = MHD_add_response_header(response, headers[i][0],
		    headers[i][1]) == MHD_YES;
	if (ok)
		ok = MHD_queue_response(r->mhd, MHD_HTTP_OK, response) ==
		    MHD_YES;
	if (response != NULL)
		MHD_destroy_response(response);
	return ok;
}

static ssize_t take_stage(struct request *r, char *out, size_t max)
{
	size_t n = r->stage_len - r->stage_at;

	if (n > max)
		n = max;
	memcpy(out, r->stage + r->stage_at, n);
	r->stage_at += n;
	return (ssize_t)n;
}

/*
 * From the gate to out; by way of the stage when out is too small for a whole
 * record, as libmicrohttpd's room can be behind a large request head.
 */
static ssize_t pull(struct request *r, char *out, size_t max)
{
	uint64_t now_ms = net_now_ms(r->endpoint->loop);

	if (max >= GATE_PULL_MIN)
		return (ssize_t)gate_exchange_pull(r->exchange,
		    (uint8_t *)out, max, &r->done, now_ms);
	r->stage_at = 0;
	r->stage_len = gate_exchange_pull(r->exchange, r->stage,
	    STREAM_BLOCK, &r->done, now_ms);
	return take_stage(r, out, max);
}

/* libmicrohttpd wants more of a response whose length is not known. */
static ssize_t on_content(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct request *r = cls;
	ssize_t n = 0;

	(void)pos;
	called_back(r);
	if (r->gone || r->connection->gone)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (r->stage_at < r->stage_len)
		return take_stage(r, buf, max);
	if (!r->done && gate_exchange_state(r->exchange) == GATE_READY)
		n = pull(r, buf, max);
	if (n > 0)
		return n;
	if (r->done)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (gate_exchange_state(r->exchange) == GATE_REFUSED)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	suspend(r);
	return 0;
}

/*
 * Does the response end with its connection, instead of being cut into chunks?
 * Each of those is copied through libmicrohttpd's pool and sent by itself, a
 * record at a time. A web server on this machine (and it is one, as it says
 * whom the request is from) has the next connection for nothing.
 */
static bool ends_with_connection(const struct request *r)
{
	return r->connection->is_local && r->origin.known;
}

/* The response is longer than its beginning: let the rest follow. */
static bool answer_stream(struct request *r, size_t begun)
{
	struct MHD_Response *response;

	r->stage = malloc(STREAM_BLOCK);
	if (r->stage == NULL)
		return false;
	memcpy(r->stage, r->endpoint->scratch, begun);
	r->stage_len = begun;
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
	    STREAM_BLOCK, on_content, r, NULL);
	if (response != NULL && ends_with_connection(r))
		(void)MHD_set_response_options(response,	/* or chunks */
		    MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
	return queue(r, response);
}

static bool answer(struct request *r)
{
	struct endpoint *e = r->endpoint;
	size_t len;

	len = gate_exchange_pull(r->exchange, e->scratch, sizeof(e->scratch),
	    &r->done, net_now_ms(e->loop));
	if (r->done)
		return queue(r, MHD_create_response_from_buffer(len,
		    e->scratch, MHD_RESPMEM_MUST_COPY));
	if (len > 0)
		return answer_stream(r, len);
	suspend(r);
	return true;
}

/* ---- the request ------------------------------------------------------ */

/* Is it POST <path>/<session>? */
static bool is_exchange(const struct endpoint *e, const char *url,
    const char *method, uint8_t id[RECORD_ID_LEN])
{
	if (strcmp(method, MHD_HTTP_METHOD_POST) != 0 ||
	    strncmp(url, e->path, e->path_len) != 0 ||
	    url[e->path_len] != '/')
		return false;
	url += e->path_len + 1;
	return keyfile_id_decode(url, strlen(url), id) == 0;
}

struct request *request_new(struct endpoint *e, struct connection *c,
    struct MHD_Connection *mhd, const char *url, const char *method)
{
	struct request *r = calloc(1, sizeof(*r));
	uint8_t id[RECORD_ID_LEN];

	if (r == NULL)
		return NULL;
	r->endpoint = e;
	r->connection = c;
	r->mhd = mhd;
	r->begun_ms = r->heard_ms = net_now_ms(e->loop);
	r->turned_away = c->by_proxy &&
	    !origin_of_request(e, mhd, &r->origin);
	if (!r->turned_away && is_exchange(e, url, method, id) &&
	    gate_exchange_new(&r->exchange, e->gate, id, on_ready, r) != 0) {
		origin_leave(e, &r->origin);
		free(r);
		return NULL;
	}
	c->request = r;
	e->requests++;
	return r;
}

void request_free(struct request *r)
{
	if (r == NULL)
		return;
	called_back(r);
	if (r->suspended)
		TAILQ_REMOVE(r->is_ready ? &r->endpoint->ready :
		    &r->endpoint->held, r, link);
	if (r->exchange != NULL)
		gate_exchange_free(r->exchange);
	r->connection->request = NULL;
	r->connection->used = true;
	r->connection->since_ms = net_now_ms(r->endpoint->loop);
	connection_complete(r->connection, false);
	origin_leave(r->endpoint, &r->origin);
	r->endpoint->requests--;
	free(r->stage);
	free(r);
}

uint64_t request_due_ms(const struct request *r)
{
	/* A device's may go on for long, but not stand still. */
	if (r->exchange != NULL && gate_exchange_is_known(r->exchange))
		return r->heard_ms + r->endpoint->request_ms;
	return r->begun_ms + r->endpoint->request_ms + r->body_len;
}

const struct origin *request_origin(const struct request *r)
{
	return r->connection->by_proxy ? &r->origin : &r->connection->origin;
}

struct MHD_Connection *request_mhd(const struct request *r)
{
	return r->mhd;
}

/*
 * A proxy that has the whole body may send it with Nagle's algorithm, and the
 * kernel would delay its acknowledgements, waiting for an answer that only
 * comes after all of it: 40 ms for each 8 KiB. The option does not last, so it
 * is set again and again. Bodies without a length are handed on as they come.
 */
static void acknowledge_quickly(const struct request *r)
{
	int on = 1;

	if (r->connection->is_tcp && r->body_len < r->body_wanted)
		(void)setsockopt(r->connection->fd, IPPROTO_TCP, TCP_QUICKACK,
		    &on, sizeof(on));	/* only slower without */
}

static void note_too_large(const struct request *r, uint64_t max)
{
	const struct origin *o = request_origin(r);
	char source[SOURCES_TEXT_MAX];
	unsigned suppressed;

	if (endpoint_log_allow(r->endpoint, LIMIT_REQUEST, &suppressed))
		log_warn("limit reached limit=request_max value=%" PRIu64
		    " source=%s suppressed=%u", max,
		    o->known ? sources_text(o->address, source) : "-",
		    suppressed);
}

/*
 * Records in base64url, instead of a body: with one, web servers make room for
 * it as long as the request is held. Whatever is none stays an empty request.
 */
static bool take_query(struct request *r)
{
	const char *text = MHD_lookup_connection_value(r->mhd,
	    MHD_GET_ARGUMENT_KIND, "r");
	uint8_t records[CRYPTO_BASE64_MAX];
	size_t len, text_len = text != NULL ? strlen(text) : 0;

	if (text_len == 0 || text_len > CRYPTO_BASE64URL_LEN(sizeof(records)))
		return true;
	len = text_len * 3 / 4;
	return crypto_base64url_decode(records, len, text, text_len) != 0 ||
	    request_body(r, records, len);
}

bool request_head(struct request *r)
{
	const char *length;

	if (r->turned_away)	/* not even its body is waited for */
		return answer_not_found(r);
	length = MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND,
	    MHD_HTTP_HEADER_CONTENT_LENGTH);
	if (length != NULL)
		r->body_wanted = strtoull(length, NULL, 10);
	acknowledge_quickly(r);
	if (r->body_wanted > r->endpoint->request_max) {
		note_too_large(r, r->endpoint->request_max);
		return answer_not_found(r);
	}
	return take_query(r);
}

/* Does the gate know by now who it is? Then it is no stranger any more. */
static void look_who(struct request *r)
{
	if (!gate_exchange_is_known(r->exchange))
		return;
	origin_leave(r->endpoint, &r->origin);
	origin_leave(r->endpoint, &r->connection->origin);
}

bool request_body(struct request *r, const void *data, size_t len)
{
	struct endpoint *e = r->endpoint;
	uint64_t max = r->exchange != NULL ? gate_exchange_max(r->exchange) :
	    e->request_max;

	/* Without a Content-Length, only closing ends what is too long. */
	if (r->body_len > max || len > max - r->body_len) {
		note_too_large(r, max);
		return false;
	}
	r->body_len += len;
	acknowledge_quickly(r);
	r->heard_ms = net_now_ms(e->loop);
	if (r->exchange == NULL)
		return true;
	e->current = r;
	gate_exchange_body(r->exchange, data, len, r->heard_ms);
	e->current = NULL;
	look_who(r);
	return true;
}

bool request_go_on(struct request *r)
{
	struct endpoint *e = r->endpoint;
	bool ended = r->connection->complete;

	called_back(r);
	if (r->gone)
		return false;
	connection_complete(r->connection, true);
	if (r->exchange == NULL)
		return answer_not_found(r);
	if (!ended) {
		e->current = r;
		gate_exchange_body_end(r->exchange, net_now_ms(e->loop));
		e->current = NULL;
		look_who(r);
	}
	switch (gate_exchange_state(r->exchange)) {
	case GATE_REFUSED:
		return answer_not_found(r);
	case GATE_READY:
		return answer(r);
	case GATE_READING:
	case GATE_WAITING:
		break;
	}
	if (r->connection->gone)
		return false;
	suspend(r);
	return true;
}
