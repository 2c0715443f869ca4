#include "config.h"

#include "client/carrier_detail.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#define PART_MAX 160u

/* What helps a person who reads the status; "" for the others. */
static const char *status_hint(unsigned status)
{
	if (status >= 300 && status < 400)
		return " (redirected; is this a network with a login page?)";
	switch (status) {
	case 403:
		return " (the web server or a proxy forbids it)";
	case 404:
		return " (wrong path in the URL, or the gateway does not "
		    "know this device)";
	case 407:
		return " (the proxy wants a user and password)";
	case 413:
		return " (request body too large for the web server)";
	case 502:
	case 503:
		return " (the web server cannot reach the gateway)";
	case 504:
		return " (the web server did not wait for the gateway)";
	default:
		return "";
	}
}

void carrier_detail_status(unsigned status, char *out, size_t out_len)
{
	snprintf(out, out_len, "HTTP %u%s", status, status_hint(status));
}

/* Foreign text may go into log lines: one line, no quotes, no surprises. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '"')
			*text = '\'';
		else if (*text < 0x20 || *text > 0x7e)
			*text = '?';
	}
}

/* The part of a URL between "//" and the next '/'. */
static void host_of(const char *url, char out[PART_MAX])
{
	const char *start = strstr(url, "//");

	start = start != NULL ? start + 2 : url;
	snprintf(out, PART_MAX, "%.*s", (int)strcspn(start, "/"), start);
}

/* Who signed the first certificate of the chain, if that is known. */
static void issuer_of(CURL *easy, char out[PART_MAX])
{
	struct curl_certinfo *chain = NULL;

	snprintf(out, PART_MAX, "unknown");
	if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK ||
	    chain == NULL || chain->num_of_certs < 1)
		return;
	for (struct curl_slist *l = chain->certinfo[0]; l != NULL; l = l->next)
		if (strncasecmp(l->data, "Issuer:", 7) == 0)
			snprintf(out, PART_MAX, "%s", l->data + 7);
}

/* The system's reason for a failed connection, or libcurl's. */
static const char *system_reason(CURL *easy, CURLcode code)
{
	long number = 0;

	if (curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number) != CURLE_OK ||
	    number == 0)
		return curl_easy_strerror(code);
	return strerror((int)number);
}

/*
 * libcurl's text names whom it tried, "Failed to connect to HOST port PORT";
 * when that is not the URL's host it was a proxy.
 */
static void describe_connect(CURL *easy, const char *text, const char *host,
    char *out, size_t out_len)
{
	const char *reason = system_reason(easy, CURLE_COULDNT_CONNECT);
	const char *name = host[0] == '[' ? host + 1 : host;
	char tried[PART_MAX];
	unsigned port;

	if (sscanf(text, "Failed to connect to %159s port %u", tried,
	    &port) == 2 && strncmp(name, tried, strlen(tried)) != 0)
		snprintf(out, out_len, "could not connect to the proxy "
		    "%s:%u: %s", tried, port, reason);
	else
		snprintf(out, out_len, "could not connect to %s: %s", host,
		    reason);
}

static void describe_tls(CURL *easy, CURLcode code, const char *text,
    char *out, size_t out_len)
{
	char issuer[PART_MAX];

	if (code != CURLE_PEER_FAILED_VERIFICATION) {
		snprintf(out, out_len, "TLS: %s", text);
		return;
	}
	/* libcurl names the host in this one, and not the trust. */
	if (strstr(text, "does not match") != NULL) {
		snprintf(out, out_len, "TLS: certificate is for another "
		    "host (%s)", text);
		return;
	}
	issuer_of(easy, issuer);
	snprintf(out, out_len, "TLS: certificate is not trusted (issuer %s)",
	    issuer);
}

/* What a proxy means that does not let us through. */
static const char *connect_hint(long status)
{
	switch (status) {
	case 401:	/* tinyproxy's, for a wrong password */
	case 407:
		return " (it wants a user and password, or others than those "
		    "in 'proxy')";
	case 403:
	case 405:
		return " (it forbids this host or port)";
	case 502:
	case 503:
	case 504:
		return " (it does not reach the web server)";
	default:
		return "";
	}
}

/* A proxy's own answer, when it did not let us through. */
static bool describe_proxy(CURL *easy, char *out, size_t out_len)
{
	long status = 0;

	if (curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status) !=
	    CURLE_OK || status < 300)
		return false;
	snprintf(out, out_len, "the proxy answered %ld%s", status,
	    connect_hint(status));
	return true;
}

static void describe(CURL *easy, CURLcode code, const char *text,
    const char *host, char *out, size_t out_len)
{
	double connected = 0;

	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		snprintf(out, out_len, "could not resolve host %s", host);
		break;
	case CURLE_COULDNT_RESOLVE_PROXY:
		snprintf(out, out_len, "could not resolve the proxy's name");
		break;
	case CURLE_COULDNT_CONNECT:
		describe_connect(easy, text, host, out, out_len);
		break;
	case CURLE_OPERATION_TIMEDOUT:
		(void)curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME,
		    &connected);
		snprintf(out, out_len, "%s %s within the time limit",
		    connected > 0 ? "no TLS with" : "no connection to", host);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
		describe_tls(easy, code, text, out, out_len);
		break;
	case CURLE_GOT_NOTHING:
		snprintf(out, out_len, "%s closed the connection without a "
		    "response", host);
		break;
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		snprintf(out, out_len, "the connection was cut (%s)", text);
		break;
	default:
		snprintf(out, out_len, "%s", text);
		break;
	}
}

void carrier_detail_failure(void *easy, int code, const char *text, char *out,
    size_t out_len)
{
	char *url = NULL;
	char host[PART_MAX];

	(void)curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url);
	host_of(url != NULL ? url : "", host);
	if (text[0] == '\0')
		text = curl_easy_strerror((CURLcode)code);
	if (!describe_proxy(easy, out, out_len))
		describe(easy, (CURLcode)code, text, host, out, out_len);
	make_printable(out);
}
