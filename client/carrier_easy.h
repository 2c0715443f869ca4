/*
 * What all exchanges have in common: how a libcurl easy handle is set up once,
 * to be used again and again. Part of the carrier; what differs from exchange
 * to exchange is in carrier_request.h.
 */
#ifndef CLIENT_CARRIER_EASY_H
#define CLIENT_CARRIER_EASY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct carrier_config;

struct carrier_easy {
	const struct carrier_config *config;
	void *share;		/* libcurl's, for cookies and TLS sessions */
	char *error;		/* room for libcurl's description */
	size_t (*on_write)(char *data, size_t size, size_t count, void *ctx);
	size_t (*on_read)(char *out, size_t size, size_t count, void *ctx);
	int (*on_seek)(void *ctx, int64_t offset, int origin);
	void *ctx;		/* for all three; and the private data */
};

/*
 * A libcurl easy handle, to be freed by libcurl's own function. 0, ERR_NOMEM,
 * or ERR_CONFIG when libcurl does not take a setting.
 */
int carrier_easy_new(void **out, const struct carrier_easy *common);

/*
 * For the next exchange: the HTTP version as configured. An open body goes by
 * HTTP/1.1, which takes less work: on HTTP/2 nginx answers each piece of it
 * with a WINDOW_UPDATE. The easy handle is libcurl's.
 */
void carrier_easy_set_http(void *easy, const struct carrier_config *config,
    bool open);

#endif
