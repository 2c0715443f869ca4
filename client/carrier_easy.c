#include "config.h"

#include "client/carrier_easy.h"

#include <stdbool.h>
#include <string.h>

#include <curl/curl.h>

#include "client/carrier.h"
#include "common/err.h"

#define IDLE_MAX_S 50L		/* proxies and NATs drop idle connections */
#define LIFETIME_MAX_S 3600L

/* Go on setting options as long as all goes well. */
#define SET(easy, rc, option, value) \
	do { \
		if ((rc) == CURLE_OK) \
			(rc) = curl_easy_setopt(easy, option, value); \
	} while (0)

static CURLcode set_request(CURL *e, const struct carrier_easy *common)
{
	CURLcode rc = CURLE_OK;

	SET(e, rc, CURLOPT_PRIVATE, common->ctx);
	/* Also what has no body, which is a GET for libcurl. */
	SET(e, rc, CURLOPT_CUSTOMREQUEST, "POST");
	SET(e, rc, CURLOPT_USERAGENT, PACKAGE_NAME "/" PACKAGE_VERSION);
	SET(e, rc, CURLOPT_WRITEFUNCTION, common->on_write);
	SET(e, rc, CURLOPT_WRITEDATA, common->ctx);
	SET(e, rc, CURLOPT_READFUNCTION, common->on_read);
	SET(e, rc, CURLOPT_READDATA, common->ctx);
	SET(e, rc, CURLOPT_SEEKFUNCTION, common->on_seek);
	SET(e, rc, CURLOPT_SEEKDATA, common->ctx);
	SET(e, rc, CURLOPT_ERRORBUFFER, common->error);
	SET(e, rc, CURLOPT_SHARE, (CURLSH *)common->share);
	SET(e, rc, CURLOPT_COOKIEFILE, "");	/* turns cookies on */
	SET(e, rc, CURLOPT_FOLLOWLOCATION, 0L);
	/* One TLS record; each handle keeps it for good. */
	SET(e, rc, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
	return rc;
}

static CURLcode set_connection(CURL *e, const struct carrier_config *config)
{
	CURLcode rc = CURLE_OK;

	SET(e, rc, CURLOPT_NOSIGNAL, 1L);
	/* Or giving up would wait for the resolver's thread. */
	SET(e, rc, CURLOPT_QUICK_EXIT, 1L);
	SET(e, rc, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)config->connect_timeout_ms);
	SET(e, rc, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(e, rc, CURLOPT_TCP_KEEPIDLE, 30L);
	SET(e, rc, CURLOPT_TCP_KEEPINTVL, 15L);
	SET(e, rc, CURLOPT_MAXAGE_CONN, IDLE_MAX_S);
	SET(e, rc, CURLOPT_MAXLIFETIME_CONN, LIFETIME_MAX_S);
	SET(e, rc, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(e, rc, CURLOPT_PROXYAUTH, (long)CURLAUTH_ANY);
	if (config->proxy != NULL)
		SET(e, rc, CURLOPT_PROXY, config->proxy);
	return rc;
}

static bool is_plain(const struct carrier_config *config)
{
	return strncmp(config->url, "http://", 7) == 0;
}

static CURLcode set_http(CURL *e, const struct carrier_config *config,
    bool open)
{
	bool http2 = !open && !is_plain(config) &&
	    config->http != CARRIER_HTTP_1;
	CURLcode rc = CURLE_OK;

	SET(e, rc, CURLOPT_HTTP_VERSION, (long)(http2 ?
	    CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	/*
	 * Wait for the TLS handshake to tell whether one connection carries
	 * all. Without TLS that would be told by the first response only, and
	 * the first request may be held.
	 */
	SET(e, rc, CURLOPT_PIPEWAIT, http2 ? 1L : 0L);
	return rc;
}

void carrier_easy_set_http(void *easy, const struct carrier_config *config,
    bool open)
{
	(void)set_http(easy, config, open);	/* it was taken before */
}

static CURLcode set_protocols(CURL *e, const struct carrier_config *config)
{
	CURLcode rc = set_http(e, config, false);

	SET(e, rc, CURLOPT_PROTOCOLS_STR, is_plain(config) ? "http" : "https");
	SET(e, rc, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(e, rc, CURLOPT_CERTINFO, 1L);	/* names an untrusted issuer */
	if (config->ca_file != NULL) {
		SET(e, rc, CURLOPT_CAINFO, config->ca_file);
		SET(e, rc, CURLOPT_CAPATH, NULL);
	}
	return rc;
}

int carrier_easy_new(void **out, const struct carrier_easy *common)
{
	CURL *easy = curl_easy_init();
	CURLcode rc;

	if (easy == NULL)
		return ERR_NOMEM;
	rc = set_request(easy, common);
	if (rc == CURLE_OK)
		rc = set_connection(easy, common->config);
	if (rc == CURLE_OK)
		rc = set_protocols(easy, common->config);
	if (rc != CURLE_OK) {
		curl_easy_cleanup(easy);
		return rc == CURLE_OUT_OF_MEMORY ? ERR_NOMEM : ERR_CONFIG;
	}
	*out = easy;
	return 0;
}
