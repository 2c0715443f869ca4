/*
 * The certificate with which the gateway speaks HTTPS by itself: read from
 * PEM files, and replaced while connections go on. There can be only one in a
 * process, because GnuTLS's callback has nothing to tell two apart by.
 *
 * GnuTLS uses the certificate of a handshake after the callback that chose
 * it. So a replaced one is kept until every connection that was there at
 * that moment has closed: each connection takes a ticket and returns it.
 */
#ifndef SERVER_ENDPOINT_TLS_H
#define SERVER_ENDPOINT_TLS_H

#define ENDPOINT_TLS_WHY_MAX 1024u

struct endpoint_tls;

/* GnuTLS's names for TLS 1.2 and 1.3. */
extern const char endpoint_tls_priorities[];

/* 0, or ERR_IO, ERR_CONFIG, ERR_NOMEM with a sentence in why. */
int endpoint_tls_new(struct endpoint_tls **out, const char *certificate,
    const char *key, char why[ENDPOINT_TLS_WHY_MAX]);

/* After all connections are closed. */
void endpoint_tls_free(struct endpoint_tls *t);

/* Read the files again; on failure the old certificate stays in use. */
int endpoint_tls_reload(struct endpoint_tls *t, const char *certificate,
    const char *key, char why[ENDPOINT_TLS_WHY_MAX]);

/* A connection begins: its ticket, to be returned when it has closed. */
void *endpoint_tls_use(struct endpoint_tls *t);
void endpoint_tls_unuse(struct endpoint_tls *t, void *ticket);

/* A gnutls_certificate_retrieve_function2, for libmicrohttpd. */
void *endpoint_tls_callback(void);

#endif
