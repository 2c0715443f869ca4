#include "config.h"

#include "client/carrier_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "common/crypto.h"
#include "common/err.h"

/* ---- headers ---------------------------------------------------------- */

static int make(void **list, const char *const *lines)
{
	for (; *lines != NULL; lines++) {
		struct curl_slist *longer = curl_slist_append(*list, *lines);

		if (longer == NULL)
			return ERR_NOMEM;
		*list = longer;
	}
	return 0;
}

int carrier_headers_make(struct carrier_headers *h)
{
	/* Waiting for "100 Continue" would cost a round trip. */
	static const char *const body[] = { "Accept:", "Expect:",
	    "Content-Type: application/octet-stream", NULL };
	static const char *const no_body[] = { "Accept:",
	    "Content-Length: 0", NULL };
	/*
	 * There the end of the head is that of the request; and for a length,
	 * even if it is 0, nginx makes room for a body, as long as the request
	 * is held.
	 */
	static const char *const no_body_h2[] = { "Accept:", NULL };
	int rc = make(&h->body, body);

	if (rc == 0)
		rc = make(&h->no_body, no_body);
	if (rc == 0)
		rc = make(&h->no_body_h2, no_body_h2);
	return rc;
}

void carrier_headers_free(struct carrier_headers *h)
{
	curl_slist_free_all(h->body);
	curl_slist_free_all(h->no_body);
	curl_slist_free_all(h->no_body_h2);
}

/* ---- requests --------------------------------------------------------- */

int carrier_request_body(void *easy, const struct carrier_headers *h,
    const char *url, const uint8_t *body, uint64_t len)
{
	if (curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK)
		return ERR_NOMEM;
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, h->body);
	/* The size first: libcurl would measure the body as a string. */
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
	    len == UINT64_MAX ? (curl_off_t)-1 : (curl_off_t)len);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	return 0;
}

int carrier_request_query(void *easy, const struct carrier_headers *h,
    const char *url, const uint8_t *records, size_t len, bool http2)
{
	char text[CRYPTO_BASE64URL_LEN(CRYPTO_BASE64_MAX) + 1];
	size_t size = strlen(url) + sizeof("?r=") + sizeof(text);
	char *whole = malloc(size);
	CURLcode rc;

	if (whole == NULL)
		return ERR_NOMEM;
	crypto_base64url_encode(text, records, len);
	snprintf(whole, size, "%s?r=%s", url, text);
	rc = curl_easy_setopt(easy, CURLOPT_URL, whole);
	free(whole);
	if (rc != CURLE_OK)
		return ERR_NOMEM;
	curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);	/* not called so */
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
	    http2 ? h->no_body_h2 : h->no_body);
	return 0;
}
