/*
 * The HTTPS certificate and its replacement; the handshake itself is GnuTLS's
 * and shown by the system tests.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "common/err.h"
#include "server/endpoint_tls.h"
#include "tests/unit/unit.h"

static char dir[64], crt[2][96], key[2][96];
static char why[ENDPOINT_TLS_WHY_MAX];

static void write_file(const char *path, const gnutls_datum_t *pem)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(pem->data, 1, pem->size, f), pem->size);
	fclose(f);
}

/* A self-signed certificate and its key. */
static void make_pair(int i)
{
	gnutls_x509_privkey_t k;
	gnutls_x509_crt_t c;
	gnutls_datum_t pem;

	gnutls_x509_privkey_init(&k);
	gnutls_x509_crt_init(&c);
	CU_ASSERT_EQUAL_FATAL(gnutls_x509_privkey_generate(k, GNUTLS_PK_ECDSA,
	    GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), 0);
	gnutls_x509_crt_set_version(c, 3);
	gnutls_x509_crt_set_serial(c, "\x01", 1);
	gnutls_x509_crt_set_dn(c, "CN=test", NULL);
	gnutls_x509_crt_set_activation_time(c, time(NULL) - 60);
	gnutls_x509_crt_set_expiration_time(c, time(NULL) + 3600);
	gnutls_x509_crt_set_key(c, k);
	CU_ASSERT_EQUAL_FATAL(gnutls_x509_crt_sign2(c, c, k,
	    GNUTLS_DIG_SHA256, 0), 0);
	gnutls_x509_crt_export2(c, GNUTLS_X509_FMT_PEM, &pem);
	write_file(crt[i], &pem);
	gnutls_free(pem.data);
	gnutls_x509_privkey_export2(k, GNUTLS_X509_FMT_PEM, &pem);
	write_file(key[i], &pem);
	gnutls_free(pem.data);
	gnutls_x509_crt_deinit(c);
	gnutls_x509_privkey_deinit(k);
}

static void set_up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_server_tls.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	for (int i = 0; i < 2; i++) {
		snprintf(crt[i], sizeof(crt[i]), "%s/%d.crt", dir, i);
		snprintf(key[i], sizeof(key[i]), "%s/%d.key", dir, i);
		make_pair(i);
	}
}

static void tear_down(void)
{
	for (int i = 0; i < 2; i++) {
		unlink(crt[i]);
		unlink(key[i]);
	}
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* What a handshake would be given now. */
static const void *chosen(void)
{
	gnutls_certificate_retrieve_function2 *fn =
	    (gnutls_certificate_retrieve_function2 *)(uintptr_t)
	    endpoint_tls_callback();
	gnutls_pcert_st *chain;
	unsigned len;
	gnutls_privkey_t k;

	CU_ASSERT_EQUAL(fn(NULL, NULL, 0, NULL, 0, &chain, &len, &k), 0);
	CU_ASSERT_EQUAL(len, 1);
	return chain;
}

static void test_what_cannot_be_read_is_named(void)
{
	struct endpoint_tls *t = NULL;

	set_up();
	CU_ASSERT_EQUAL(endpoint_tls_new(&t, "/nowhere.crt", key[0], why),
	    ERR_IO);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "/nowhere.crt"));
	CU_ASSERT_EQUAL(endpoint_tls_new(&t, crt[0], "/nowhere.key", why),
	    ERR_IO);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "/nowhere.key"));
	CU_ASSERT_EQUAL(endpoint_tls_new(&t, key[0], key[0], why), ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, key[0]));
	CU_ASSERT_EQUAL(endpoint_tls_new(&t, crt[0], crt[0], why), ERR_CONFIG);
	CU_ASSERT_PTR_NULL(t);
	tear_down();
}

static void test_a_key_of_another_certificate_is_refused(void)
{
	struct endpoint_tls *t = NULL;

	set_up();
	CU_ASSERT_EQUAL(endpoint_tls_new(&t, crt[0], key[1], why), ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, key[1]));
	CU_ASSERT_EQUAL(endpoint_tls_new(&t, crt[1], key[0], why), ERR_CONFIG);
	CU_ASSERT_EQUAL(endpoint_tls_new(&t, crt[1], key[1], why), 0);
	endpoint_tls_free(t);
	tear_down();
}

static void test_a_bad_new_certificate_keeps_the_old(void)
{
	struct endpoint_tls *t = NULL;
	const void *old;

	set_up();
	CU_ASSERT_EQUAL_FATAL(endpoint_tls_new(&t, crt[0], key[0], why), 0);
	old = chosen();
	CU_ASSERT_EQUAL(endpoint_tls_reload(t, crt[0], key[1], why),
	    ERR_CONFIG);
	CU_ASSERT_PTR_EQUAL(chosen(), old);
	CU_ASSERT_EQUAL(endpoint_tls_reload(t, crt[1], key[1], why), 0);
	CU_ASSERT_PTR_NOT_EQUAL(chosen(), old);
	endpoint_tls_free(t);
	tear_down();
}

static void test_an_old_certificate_lives_as_long_as_its_users(void)
{
	struct endpoint_tls *t = NULL;
	void *early, *late, *latest;
	const gnutls_pcert_st *second;

	set_up();
	CU_ASSERT_EQUAL_FATAL(endpoint_tls_new(&t, crt[0], key[0], why), 0);
	early = endpoint_tls_use(t);
	CU_ASSERT_EQUAL(endpoint_tls_reload(t, crt[1], key[1], why), 0);
	second = chosen();	/* by the early one, whose handshake is slow */
	late = endpoint_tls_use(t);
	CU_ASSERT_EQUAL(endpoint_tls_reload(t, crt[0], key[0], why), 0);
	latest = endpoint_tls_use(t);
	endpoint_tls_unuse(t, late);
	/* The sanitizer would tell if it had been freed. */
	CU_ASSERT_EQUAL(second->type, GNUTLS_CRT_X509);
	endpoint_tls_unuse(t, early);
	endpoint_tls_unuse(t, latest);
	endpoint_tls_free(t);
	tear_down();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "what cannot be read is named",
		  test_what_cannot_be_read_is_named },
		{ "a key of another certificate is refused",
		  test_a_key_of_another_certificate_is_refused },
		{ "a bad new certificate keeps the old",
		  test_a_bad_new_certificate_keeps_the_old },
		{ "an old certificate lives as long as its users",
		  test_an_old_certificate_lives_as_long_as_its_users },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
