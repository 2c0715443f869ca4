/*
 * The carrier: POSTs bodies to a URL and hands back what comes, with
 * libcurl on the libuv loop. It knows slots, each with one exchange at a time,
 * and connections; it does not know what the bodies hold.
 *
 * Only a response with status 200 is handed on. Redirects are not followed,
 * cookies of load balancers are kept and returned, nothing is decompressed.
 */
#ifndef CLIENT_CARRIER_H
#define CLIENT_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>

#include <uv.h>

#define CARRIER_DETAIL_MAX 256u

enum carrier_http {
	CARRIER_HTTP_AUTO,	/* HTTP/2 where the server offers it */
	CARRIER_HTTP_1,
	CARRIER_HTTP_2		/* anything else is a failure */
};

enum carrier_result {
	CARRIER_DONE,		/* status 200, body complete */
	CARRIER_STATUS,		/* another status */
	CARRIER_FAILED		/* no response, or cut off */
};

struct carrier_ops {
	/*
	 * More of a slot's response. Called from within libcurl: carrier_post
	 * and carrier_cancel are allowed and take effect a moment later;
	 * carrier_free is not.
	 */
	void (*on_body)(void *ctx, unsigned slot, const uint8_t *data,
	    size_t len);
	/*
	 * The slot's exchange is over and the slot free. detail is a phrase
	 * for people, printable, without quotes: "HTTP 404", "could not
	 * resolve host mail.example.com". Empty when all went well.
	 */
	void (*on_end)(void *ctx, unsigned slot, enum carrier_result result,
	    unsigned http_status, const char *detail);
	/* The version of HTTP that responses come with is known or changed. */
	void (*on_http_version)(void *ctx, bool http2);
	/*
	 * A connection to this address is about to be opened: the web server's,
	 * or the proxy's. Called from within libcurl: only take note.
	 */
	void (*on_connect)(void *ctx, const struct sockaddr *to);
};

struct carrier_config {
	const char *url;	/* copied, like all strings here */
	const char *ca_file;	/* trust only these CAs; NULL: the system's */
	const char *proxy;	/* NULL: the environment's; "": none */
	enum carrier_http http;
	uint64_t connect_timeout_ms;
	unsigned slots;
	unsigned paths;
	unsigned max_connections;
};

struct carrier;

/* 0, ERR_NOMEM, or ERR_CONFIG when libcurl does not take the settings. */
int carrier_new(struct carrier **out, uv_loop_t *loop,
    const struct carrier_config *config, const struct carrier_ops *ops,
    void *ctx);

/*
 * Give everything up, without events. The loop has to run until the handles
 * are closed. Not from within a callback of the carrier.
 */
void carrier_free(struct carrier *c);

/* What is posted from now on goes to this URL. 0 or ERR_NOMEM. */
int carrier_set_url(struct carrier *c, const char *url);

/*
 * POST body[0..len) in a slot that has nothing under way. The body is
 * borrowed until on_end or carrier_cancel. path is below the configured
 * number: what goes by different paths shares no connection. fresh: use no
 * connection that was there before; the others, of all paths, are then not
 * used any longer either, but what is under way on them may finish.
 */
void carrier_post(struct carrier *c, unsigned slot, const uint8_t *body,
    size_t len, unsigned path, bool fresh);

/*
 * The same, but body[0..len), at most CRYPTO_BASE64_MAX bytes, goes in the
 * URL's query, and the request's body is empty: for what is held for long.
 */
void carrier_query(struct carrier *c, unsigned slot, const uint8_t *body,
    size_t len, unsigned path, bool fresh);

/*
 * As carrier_post, but the body, which is copied, goes on with what is appended
 * until it is finished. unsent: bytes that libcurl has not taken yet. Without
 * memory for what is appended the body ends before it. A response that comes
 * before the end of the body is told with what is appended next, or with the
 * end; one with another status than 200 that has content, at once. Not from
 * within a callback.
 */
void carrier_open(struct carrier *c, unsigned slot, const uint8_t *body,
    size_t len, unsigned path, bool fresh);
void carrier_append(struct carrier *c, unsigned slot, const uint8_t *data,
    size_t len);
void carrier_finish(struct carrier *c, unsigned slot);
size_t carrier_unsent(const struct carrier *c, unsigned slot);

/*
 * So many milliseconds ago bytes came by the path of what is under way in the
 * slot, on any of its connections and even if they cannot be decrypted yet;
 * UINT64_MAX: not known.
 */
uint64_t carrier_arrived(const struct carrier *c, unsigned slot);

/* What is under way in slot `from` goes on in slot `to`, which is free. */
void carrier_move(struct carrier *c, unsigned from, unsigned to);

/*
 * Send now what was posted, and not in the loop's next turn. Events may come
 * before it returns. Not from within a callback of the carrier.
 */
void carrier_run(struct carrier *c);

/* Give the slot's exchange up, if there is one; no more events for it. */
void carrier_cancel(struct carrier *c, unsigned slot);

/* All connections and resolved names are stale: the next post begins anew. */
void carrier_network_changed(struct carrier *c);

/* "HTTP/2", "HTTP/1.1", or "" before the first response. */
const char *carrier_http_name(const struct carrier *c);

#endif
