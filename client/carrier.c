#include "config.h"

#include "client/carrier.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "client/carrier_body.h"
#include "client/carrier_detail.h"
#include "client/carrier_easy.h"
#include "client/carrier_paths.h"
#include "client/carrier_request.h"
#include "common/crypto.h"
#include "common/err.h"

#define AGAIN_MS 100u		/* before trying again for lack of memory */
/*
 * A DATA frame of this size and its head fill one TLS record. libcurl by
 * itself makes frames of 16 KiB, for which it takes two, and two system calls.
 */
#define PIECE_MAX (16384u - 9u)
#define GARBAGE_MAX 65536u	/* body bytes of other statuses, then cut */

struct slot {
	struct carrier *carrier;
	unsigned number;
	CURL *easy;		/* NULL before the slot's first exchange */
	struct carrier_pool *pool;	/* where it is under way, or NULL */
	bool given_up;		/* cancelled, still to be taken from its pool */
	bool waiting;		/* posted, still to be put into a pool */
	unsigned path;
	const uint8_t *body;
	size_t len;
	size_t taken;		/* of it by libcurl, where it comes in pieces */
	bool query;		/* goes in the URL */
	bool open;		/* the body goes on, by stream: */
	bool paused;		/* libcurl has all there is of it */
	struct carrier_body stream;
	size_t garbage;
	bool wrong_version;
	char error[CURL_ERROR_SIZE];
};

struct carrier {
	const struct carrier_ops *ops;
	void *ctx;
	struct carrier_config config;	/* strings are ours */
	CURLSH *share;			/* cookies and TLS sessions */
	struct carrier_headers headers;
	struct carrier_paths paths;
	bool unsettled;			/* some slot is given up or waiting */
	bool curl_ready;
	uv_timer_t *again;
	long http_version;	/* of the last response, as libcurl says */
	unsigned slot_count;
	struct slot **by_number;	/* they change places: carrier_move */
	struct slot slots[];
};

/* Only an open body goes by HTTP/1.1 in any case, and tells nothing. */
static void note_version(const struct slot *s, long version)
{
	struct carrier *c = s->carrier;

	if (s->open || version == 0 || version == c->http_version)
		return;
	c->http_version = version;
	c->ops->on_http_version(c->ctx, version == CURL_HTTP_VERSION_2);
}

/*
 * Part of a response. Anything but a 200 is swallowed, and cut when it goes
 * on for too long. In the midst of an open body it is cut at once: for libcurl
 * an exchange is not over as long as it waits for more of its body.
 */
static size_t on_write(char *data, size_t size, size_t count, void *ctx)
{
	struct slot *s = ctx;
	struct carrier *c = s->carrier;
	long status = 0, version = 0;
	size_t len = size * count;

	if (s->given_up)
		return CURL_WRITEFUNC_ERROR;
	(void)curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		s->garbage += len;
		return s->open || s->garbage > GARBAGE_MAX ?
		    CURL_WRITEFUNC_ERROR : len;
	}
	(void)curl_easy_getinfo(s->easy, CURLINFO_HTTP_VERSION, &version);
	if (c->config.http == CARRIER_HTTP_2 && !s->open &&
	    version != CURL_HTTP_VERSION_2) {
		s->wrong_version = true;
		return CURL_WRITEFUNC_ERROR;
	}
	note_version(s, version);
	c->ops->on_body(c->ctx, s->number, (const uint8_t *)data, len);
	return s->given_up ? CURL_WRITEFUNC_ERROR : len;
}

static size_t take_piece(struct slot *s, char *out, size_t room)
{
	size_t n = s->len - s->taken;

	if (n > room)
		n = room;
	if (n > PIECE_MAX)
		n = PIECE_MAX;
	memcpy(out, s->body + s->taken, n);
	s->taken += n;
	return n;
}

/* libcurl wants more of a body. */
static size_t on_read(char *out, size_t size, size_t count, void *ctx)
{
	struct slot *s = ctx;
	size_t n;

	if (s->given_up)
		return CURL_READFUNC_ABORT;
	if (!s->open)
		return take_piece(s, out, size * count);
	n = carrier_body_take(&s->stream, out, size * count);
	if (n > 0 || s->stream.finished)
		return n;
	s->paused = true;
	return CURL_READFUNC_PAUSE;
}

/*
 * The connection was closed before it took the request, and libcurl tries
 * another one: from the beginning, which an open body does not have any more.
 */
static int on_seek(void *ctx, int64_t offset, int origin)
{
	struct slot *s = ctx;

	if (s->open || s->given_up || offset != 0 || origin != SEEK_SET)
		return CURL_SEEKFUNC_FAIL;
	s->taken = 0;
	return CURL_SEEKFUNC_OK;
}

static int prepare_easy(struct slot *s)
{
	struct carrier *c = s->carrier;
	const struct carrier_easy common = {
		.config = &c->config,
		.share = c->share,
		.error = s->error,
		.on_write = on_write,
		.on_read = on_read,
		.on_seek = on_seek,
		.ctx = s
	};
	void *easy;
	int rc;

	if (s->easy != NULL)
		return 0;
	rc = carrier_easy_new(&easy, &common);
	if (rc == 0)
		s->easy = easy;
	return rc;
}

/* HTTP/1.1 has no frames: there head and body go in one piece if they can. */
static bool goes_in_pieces(const struct slot *s)
{
	return s->carrier->http_version == CURL_HTTP_VERSION_2 &&
	    s->len > PIECE_MAX;
}

/* Method, URL and body. */
static int set_request(struct slot *s)
{
	const struct carrier *c = s->carrier;

	if (s->query)
		return carrier_request_query(s->easy, &c->headers,
		    c->config.url, s->body, s->len,
		    c->http_version == CURL_HTTP_VERSION_2);
	return carrier_request_body(s->easy, &c->headers, c->config.url,
	    s->open || goes_in_pieces(s) ? NULL : s->body,
	    s->open ? UINT64_MAX : s->len);
}

/* Put a posted exchange into the pool in use. */
static int start(struct slot *s)
{
	struct carrier *c = s->carrier;
	struct carrier_pool *pool;
	int rc = prepare_easy(s);

	if (rc == 0)
		rc = set_request(s);
	if (rc == 0)
		rc = carrier_paths_open(&c->paths, s->path, &pool);
	if (rc != 0)
		return rc;
	s->garbage = 0;
	s->wrong_version = false;
	s->error[0] = '\0';
	s->paused = false;
	s->taken = 0;
	carrier_easy_set_http(s->easy, &c->config, s->open);
	rc = carrier_pool_add(pool, s->easy);
	if (rc != 0)
		return rc;
	s->pool = pool;
	s->waiting = false;
	return 0;
}

static void on_again(uv_timer_t *timer);

/* Do what could not be done while libcurl was running. */
static void settle(struct carrier *c)
{
	bool short_of_memory = false;

	if (carrier_paths_are_calling(&c->paths))
		return;
	for (unsigned i = 0; i < c->slot_count && c->unsettled; i++) {
		struct slot *s = &c->slots[i];

		if (s->given_up) {
			carrier_pool_remove(s->pool, s->easy);
			s->pool = NULL;
			s->given_up = false;
		}
		if (s->waiting && start(s) != 0)
			short_of_memory = true;
	}
	c->unsettled = short_of_memory;
	carrier_paths_reap(&c->paths);
	if (short_of_memory)
		uv_timer_start(c->again, on_again, AGAIN_MS, 0);
}

static void on_again(uv_timer_t *timer)
{
	settle(timer->data);
}

static void on_settled(void *ctx, struct carrier_pool *pool)
{
	struct carrier *c = ctx;

	carrier_paths_touched(&c->paths, pool);
	settle(c);
}

/* How did it end? detail is empty or has been filled in. */
static enum carrier_result judge(struct slot *s, CURLcode code,
    unsigned status, char detail[CARRIER_DETAIL_MAX])
{
	detail[0] = '\0';
	if (s->wrong_version) {
		snprintf(detail, CARRIER_DETAIL_MAX, "the web server does not "
		    "speak HTTP/2, but http = 2 is configured");
		return CARRIER_FAILED;
	}
	if (status >= 100 && status != 200 &&
	    (code == CURLE_OK || code == CURLE_WRITE_ERROR)) {
		carrier_detail_status(status, detail, CARRIER_DETAIL_MAX);
		return CARRIER_STATUS;
	}
	if (code == CURLE_OK && status == 200)
		return CARRIER_DONE;
	carrier_detail_failure(s->easy, (int)code, s->error, detail,
	    CARRIER_DETAIL_MAX);
	return CARRIER_FAILED;
}

static void on_done(void *ctx, void *easy, int code)
{
	struct carrier *c = ctx;
	char detail[CARRIER_DETAIL_MAX];
	enum carrier_result result;
	struct slot *s = NULL;
	long status = 0, version = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &s);
	(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
	s->pool = NULL;
	if (s->given_up) {
		s->given_up = false;	/* on_settled starts what follows */
		return;
	}
	result = judge(s, (CURLcode)code, (unsigned)status, detail);
	if (result == CARRIER_DONE)
		note_version(s, version);
	s->body = NULL;
	c->ops->on_end(c->ctx, s->number, result, (unsigned)status, detail);
}

static void on_connect(void *ctx, const struct sockaddr *to)
{
	struct carrier *c = ctx;

	c->ops->on_connect(c->ctx, to);
}

static const struct carrier_pool_ops pool_ops = {
	.on_done = on_done,
	.on_settled = on_settled,
	.on_connect = on_connect
};

int carrier_set_url(struct carrier *c, const char *url)
{
	char *copy = strdup(url);

	if (copy == NULL)
		return ERR_NOMEM;
	free((char *)c->config.url);
	c->config.url = copy;
	return 0;
}

static void post(struct carrier *c, unsigned slot, unsigned path, bool fresh)
{
	struct slot *s = c->by_number[slot];

	assert(slot < c->slot_count && path < c->config.paths && !s->waiting);
	assert(s->pool == NULL || s->given_up);
	/*
	 * Several exchanges that ask for fresh connections in the same turn of
	 * the loop share one new pool.
	 */
	if (fresh && !carrier_paths_is_untouched(&c->paths, path))
		carrier_paths_retire(&c->paths);
	s->path = path;
	s->waiting = true;
	c->unsettled = true;
	settle(c);
}

static void post_whole(struct carrier *c, unsigned slot, const uint8_t *body,
    size_t len, bool query, unsigned path, bool fresh)
{
	struct slot *s = c->by_number[slot];

	s->open = false;
	s->query = query;
	s->body = body;
	s->len = len;
	post(c, slot, path, fresh);
}

void carrier_post(struct carrier *c, unsigned slot, const uint8_t *body,
    size_t len, unsigned path, bool fresh)
{
	post_whole(c, slot, body, len, false, path, fresh);
}

void carrier_query(struct carrier *c, unsigned slot, const uint8_t *body,
    size_t len, unsigned path, bool fresh)
{
	assert(len <= CRYPTO_BASE64_MAX);
	post_whole(c, slot, body, len, true, path, fresh);
}

void carrier_open(struct carrier *c, unsigned slot, const uint8_t *body,
    size_t len, unsigned path, bool fresh)
{
	struct slot *s = c->by_number[slot];

	s->open = true;
	s->query = false;
	carrier_body_begin(&s->stream);
	carrier_body_append(&s->stream, body, len);
	post(c, slot, path, fresh);
}

static void go_on(struct slot *s)
{
	if (!s->paused || s->pool == NULL)
		return;
	s->paused = false;
	carrier_pool_resume(s->pool, s->easy);
}

void carrier_append(struct carrier *c, unsigned slot, const uint8_t *data,
    size_t len)
{
	struct slot *s = c->by_number[slot];

	carrier_body_append(&s->stream, data, len);
	go_on(s);
}

void carrier_finish(struct carrier *c, unsigned slot)
{
	struct slot *s = c->by_number[slot];

	s->stream.finished = true;
	go_on(s);
}

size_t carrier_unsent(const struct carrier *c, unsigned slot)
{
	return carrier_body_left(&c->by_number[slot]->stream);
}

uint64_t carrier_arrived(const struct carrier *c, unsigned slot)
{
	const struct slot *s = c->by_number[slot];

	return s->pool == NULL ? UINT64_MAX : carrier_pool_arrived_ms(s->pool);
}

void carrier_move(struct carrier *c, unsigned from, unsigned to)
{
	struct slot *s = c->by_number[from], *other = c->by_number[to];

	assert(other->pool == NULL && !other->waiting);
	c->by_number[from] = other;
	c->by_number[to] = s;
	other->number = from;
	s->number = to;
}

void carrier_run(struct carrier *c)
{
	carrier_paths_run(&c->paths);
}

void carrier_cancel(struct carrier *c, unsigned slot)
{
	struct slot *s = c->by_number[slot];

	assert(slot < c->slot_count);
	s->waiting = false;
	if (s->pool == NULL)
		return;
	s->given_up = true;
	c->unsettled = true;
	settle(c);
}

void carrier_network_changed(struct carrier *c)
{
	carrier_paths_retire(&c->paths);
}

const char *carrier_http_name(const struct carrier *c)
{
	switch (c->http_version) {
	case CURL_HTTP_VERSION_1_0:
		return "HTTP/1.0";
	case CURL_HTTP_VERSION_1_1:
		return "HTTP/1.1";
	case CURL_HTTP_VERSION_2:
		return "HTTP/2";
	default:
		return "";
	}
}

/* ---- beginning and end ------------------------------------------------ */

static int copy_string(const char *from, const char **to)
{
	*to = from != NULL ? strdup(from) : NULL;
	return from != NULL && *to == NULL ? ERR_NOMEM : 0;
}

static int copy_config(struct carrier *c, const struct carrier_config *from)
{
	struct carrier_config *to = &c->config;

	*to = *from;
	to->url = to->ca_file = to->proxy = NULL;
	if (copy_string(from->url, &to->url) != 0 ||
	    copy_string(from->ca_file, &to->ca_file) != 0 ||
	    copy_string(from->proxy, &to->proxy) != 0)
		return ERR_NOMEM;
	return 0;
}

static int open_libcurl(struct carrier *c)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return ERR_NOMEM;
	c->curl_ready = true;
	c->share = curl_share_init();
	if (c->share == NULL)
		return ERR_NOMEM;
	if (curl_share_setopt(c->share, CURLSHOPT_SHARE,
	    CURL_LOCK_DATA_COOKIE) != CURLSHE_OK ||
	    curl_share_setopt(c->share, CURLSHOPT_SHARE,
	    CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK)
		return ERR_NOMEM;
	return carrier_headers_make(&c->headers);
}

static int open_loop(struct carrier *c, uv_loop_t *loop)
{
	c->paths = (struct carrier_paths){
		.loop = loop, .count = c->config.paths,
		.max_connections = c->config.max_connections,
		.ops = &pool_ops, .ctx = c,
	};
	if (carrier_paths_init(&c->paths, c->slot_count) != 0)
		return ERR_NOMEM;
	c->again = calloc(1, sizeof(*c->again));
	if (c->again == NULL)
		return ERR_NOMEM;
	uv_timer_init(loop, c->again);
	c->again->data = c;
	return 0;
}

int carrier_new(struct carrier **out, uv_loop_t *loop,
    const struct carrier_config *config, const struct carrier_ops *ops,
    void *ctx)
{
	struct carrier *c;
	int rc;

	c = calloc(1, sizeof(*c) + config->slots * sizeof(c->slots[0]));
	if (c == NULL)
		return ERR_NOMEM;
	c->ops = ops;
	c->ctx = ctx;
	c->slot_count = config->slots;
	c->by_number = calloc(config->slots, sizeof(c->by_number[0]));
	if (c->by_number == NULL) {
		free(c);
		return ERR_NOMEM;
	}
	for (unsigned i = 0; i < c->slot_count; i++) {
		c->slots[i].carrier = c;
		c->slots[i].number = i;
		c->by_number[i] = &c->slots[i];
	}
	rc = copy_config(c, config);
	if (rc == 0)
		rc = open_libcurl(c);
	if (rc == 0)
		rc = prepare_easy(&c->slots[0]);
	if (rc == 0)
		rc = open_loop(c, loop);
	if (rc != 0) {
		carrier_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

void carrier_free(struct carrier *c)
{
	if (c == NULL)
		return;
	for (unsigned i = 0; i < c->slot_count; i++) {
		if (c->slots[i].pool != NULL)
			carrier_pool_remove(c->slots[i].pool,
			    c->slots[i].easy);
		curl_easy_cleanup(c->slots[i].easy);
		carrier_body_free(&c->slots[i].stream);
	}
	carrier_paths_fini(&c->paths);
	if (c->again != NULL)
		uv_close((uv_handle_t *)c->again, on_timer_closed);
	free(c->by_number);
	carrier_headers_free(&c->headers);
	curl_share_cleanup(c->share);
	if (c->curl_ready)
		curl_global_cleanup();
	free((char *)c->config.url);
	free((char *)c->config.ca_file);
	free((char *)c->config.proxy);
	free(c);
}
