/*
 * Says in a phrase for people how an exchange ended, from what libcurl
 * knows of it. Part of the carrier.
 */
#ifndef CLIENT_CARRIER_DETAIL_H
#define CLIENT_CARRIER_DETAIL_H

#include <stddef.h>

/* For a response with this status, which is not 200. */
void carrier_detail_status(unsigned status, char *out, size_t out_len);

/*
 * For a transfer (a libcurl easy handle) that ended with this CURLcode; text
 * is libcurl's own description, may be "". The result is printable ASCII
 * without double quotes.
 */
void carrier_detail_failure(void *easy, int code, const char *text, char *out,
    size_t out_len);

#endif
