#include "config.h"

#include "server/endpoint_tls.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "common/err.h"

#define CHAIN_MAX 16u

const char endpoint_tls_priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

struct certificate {
	TAILQ_ENTRY(certificate) link;
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned chain_len;
	gnutls_privkey_t key;
	unsigned uses;		/* connections that began while current */
};

struct endpoint_tls {
	TAILQ_HEAD(certificates, certificate) list;	/* oldest first */
};

static struct certificate *current;	/* the last of the list */

static void free_certificate(struct certificate *c)
{
	if (c == NULL)
		return;
	for (unsigned i = 0; i < c->chain_len; i++)
		gnutls_pcert_deinit(&c->chain[i]);
	if (c->key != NULL)
		gnutls_privkey_deinit(c->key);
	free(c);
}

static int complain(const char *file, int rc, char why[ENDPOINT_TLS_WHY_MAX])
{
	snprintf(why, ENDPOINT_TLS_WHY_MAX, "%s: %s", file,
	    rc == GNUTLS_E_FILE_ERROR ? "cannot be read" :
	    gnutls_strerror(rc));
	return rc == GNUTLS_E_FILE_ERROR ? ERR_IO : ERR_CONFIG;
}

static int read_chain(struct certificate *c, const char *file,
    char why[ENDPOINT_TLS_WHY_MAX])
{
	gnutls_datum_t pem;
	unsigned len = CHAIN_MAX;
	int rc = gnutls_load_file(file, &pem);

	if (rc != 0)
		return complain(file, rc, why);
	rc = gnutls_pcert_list_import_x509_raw(c->chain, &len, &pem,
	    GNUTLS_X509_FMT_PEM, 0);
	gnutls_free(pem.data);
	if (rc < 0)
		return complain(file, rc, why);
	c->chain_len = len;
	return 0;
}

static int read_key(struct certificate *c, const char *file,
    char why[ENDPOINT_TLS_WHY_MAX])
{
	gnutls_datum_t pem;
	int rc = gnutls_load_file(file, &pem);

	if (rc != 0)
		return complain(file, rc, why);
	rc = gnutls_privkey_init(&c->key);
	if (rc == 0)
		rc = gnutls_privkey_import_x509_raw(c->key, &pem,
		    GNUTLS_X509_FMT_PEM, NULL, 0);
	gnutls_memset(pem.data, 0, pem.size);
	gnutls_free(pem.data);
	return rc == 0 ? 0 : complain(file, rc, why);
}

/* Does the key belong to the certificate? Found out by signing something. */
static int check_pair(struct certificate *c, const char *certificate,
    const char *key, char why[ENDPOINT_TLS_WHY_MAX])
{
	static unsigned char text[] = "nrpc-gateway";
	gnutls_datum_t data = { text, sizeof(text) }, signature = { NULL, 0 };
	gnutls_sign_algorithm_t algorithm;
	int pk = gnutls_privkey_get_pk_algorithm(c->key, NULL);
	int rc;

	algorithm = gnutls_pk_to_sign((gnutls_pk_algorithm_t)pk,
	    GNUTLS_DIG_SHA256);
	if (pk == GNUTLS_PK_EDDSA_ED25519)
		algorithm = GNUTLS_SIGN_EDDSA_ED25519;
	else if (pk == GNUTLS_PK_EDDSA_ED448)
		algorithm = GNUTLS_SIGN_EDDSA_ED448;
	rc = gnutls_privkey_sign_data2(c->key, algorithm, 0, &data,
	    &signature);
	if (rc == 0)
		rc = gnutls_pubkey_verify_data2(c->chain[0].pubkey, algorithm,
		    0, &data, &signature);
	gnutls_free(signature.data);
	if (rc >= 0)
		return 0;
	snprintf(why, ENDPOINT_TLS_WHY_MAX, "%s: is not the key of the "
	    "certificate in %s; its own certificate comes first in that file",
	    key, certificate);
	return ERR_CONFIG;
}

int endpoint_tls_reload(struct endpoint_tls *t, const char *certificate,
    const char *key, char why[ENDPOINT_TLS_WHY_MAX])
{
	struct certificate *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL) {
		snprintf(why, ENDPOINT_TLS_WHY_MAX, "%s: no memory",
		    certificate);
		return ERR_NOMEM;
	}
	rc = read_chain(c, certificate, why);
	if (rc == 0)
		rc = read_key(c, key, why);
	if (rc == 0)
		rc = check_pair(c, certificate, key, why);
	if (rc != 0) {
		free_certificate(c);
		return rc;
	}
	TAILQ_INSERT_TAIL(&t->list, c, link);
	current = c;
	return 0;
}

int endpoint_tls_new(struct endpoint_tls **out, const char *certificate,
    const char *key, char why[ENDPOINT_TLS_WHY_MAX])
{
	struct endpoint_tls *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL) {
		snprintf(why, ENDPOINT_TLS_WHY_MAX, "%s: no memory",
		    certificate);
		return ERR_NOMEM;
	}
	TAILQ_INIT(&t->list);
	rc = endpoint_tls_reload(t, certificate, key, why);
	if (rc != 0) {
		free(t);
		return rc;
	}
	*out = t;
	return 0;
}

void endpoint_tls_free(struct endpoint_tls *t)
{
	struct certificate *c;

	if (t == NULL)
		return;
	current = NULL;
	while ((c = TAILQ_FIRST(&t->list)) != NULL) {
		TAILQ_REMOVE(&t->list, c, link);
		free_certificate(c);
	}
	free(t);
}

void *endpoint_tls_use(struct endpoint_tls *t)
{
	struct certificate *c = TAILQ_LAST(&t->list, certificates);

	c->uses++;
	return c;
}

/*
 * A connection may have chosen any certificate that became current after it
 * began. So one is free of users only when all older ones are, too.
 */
void endpoint_tls_unuse(struct endpoint_tls *t, void *ticket)
{
	struct certificate *c = ticket;

	c->uses--;
	while ((c = TAILQ_FIRST(&t->list)) != current && c->uses == 0) {
		TAILQ_REMOVE(&t->list, c, link);
		free_certificate(c);
	}
}

static int on_retrieve(gnutls_session_t session,
    const gnutls_datum_t *req_ca_rdn, int nreqs,
    const gnutls_pk_algorithm_t *pk_algos, int pk_algos_length,
    gnutls_pcert_st **pcert, unsigned int *pcert_length,
    gnutls_privkey_t *privkey)
{
	(void)session;
	(void)req_ca_rdn;
	(void)nreqs;
	(void)pk_algos;
	(void)pk_algos_length;
	*pcert = current->chain;
	*pcert_length = current->chain_len;
	*privkey = current->key;
	return 0;
}

void *endpoint_tls_callback(void)
{
	return (void *)(uintptr_t)on_retrieve;
}
