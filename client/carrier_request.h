/*
 * What is set in a libcurl easy handle for each request: the method, the
 * headers, and where the records go. Part of the carrier. Types of libcurl's
 * are void here, as in all of the carrier's headers.
 */
#ifndef CLIENT_CARRIER_REQUEST_H
#define CLIENT_CARRIER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libcurl's lists of headers: for a body, and for none. */
struct carrier_headers {
	void *body;
	void *no_body;
	void *no_body_h2;
};

/* 0 or ERR_NOMEM; free in any case. The lists outlive the requests. */
int carrier_headers_make(struct carrier_headers *h);
void carrier_headers_free(struct carrier_headers *h);

/*
 * The next request goes to this url, with a body of len bytes; UINT64_MAX: of
 * unknown length, chunked. body is borrowed until its end; NULL: it comes by
 * libcurl's read callback. 0 or ERR_NOMEM.
 */
int carrier_request_body(void *easy, const struct carrier_headers *h,
    const char *url, const uint8_t *body, uint64_t len);

/*
 * The same without a body: its records, len bytes, at most CRYPTO_BASE64_MAX,
 * go in the query behind the url. http2: it goes by HTTP/2.
 */
int carrier_request_query(void *easy, const struct carrier_headers *h,
    const char *url, const uint8_t *records, size_t len, bool http2);

#endif
