/*
 * Hello and answer. The first byte of the input says which end reads, and
 * whether the rest is a whole message or the payload of one: a payload is
 * sealed in a real handshake with fixed keys, for without that nothing ever
 * gets past the authentication.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hello.h"
#include "common/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define HEAD 4u				/* mark, version, length */

/* "nrpc-tunnel", the version, and a session's id of zeros. */
static const uint8_t prologue[11 + 1 + RECORD_ID_LEN] = "nrpc-tunnel\x01";
static const uint8_t id[RECORD_ID_LEN];
static const uint8_t device_ephemeral[32] = { 3 };
static const uint8_t gateway_ephemeral[32] = { 4 };
static struct noise_keys device = { .secret = { 1 } };
static struct noise_keys gateway = { .secret = { 2 } };

static void check(int ok)
{
	if (!ok)
		abort();
}

static struct noise *new_device(void)
{
	struct noise *n;

	check(noise_new_initiator(&n, &device, gateway.pub, prologue,
	    sizeof(prologue), device_ephemeral) == 0);
	return n;
}

/* This end's next message around the payload; returns its whole length. */
static size_t wrap(struct noise *n, uint8_t mark, const uint8_t *payload,
    size_t len, uint8_t out[HELLO_MAX])
{
	const size_t room = HELLO_MAX - HEAD - NOISE_1_OVERHEAD;
	size_t message_len;

	if (len > room)
		len = room;
	check(noise_write(n, payload, len, out + HEAD, &message_len) == 0);
	out[0] = mark;
	out[1] = HELLO_VERSION;
	wire_store_u16(out + 2, (uint16_t)message_len);
	return HEAD + message_len;
}

static void check_agent(const char *agent)
{
	check(strnlen(agent, HELLO_AGENT_MAX + 1) <= HELLO_AGENT_MAX);
	for (; *agent != '\0'; agent++)
		check(*agent >= 0x20 && *agent <= 0x7e);
}

static int accept_hello(const uint8_t *data, size_t len)
{
	struct noise *n = NULL;
	struct hello h;
	int rc;

	rc = hello_accept(&n, &gateway, id, data, len, &h);
	check((rc == 0) == (n != NULL));
	if (rc == 0)
		check_agent(h.agent);
	noise_free(n);
	return rc;
}

static void accept_payload(const uint8_t *payload, size_t len)
{
	uint8_t hello[HELLO_MAX];
	struct noise *n = new_device();
	size_t hello_len = wrap(n, HELLO_MARK, payload, len, hello);
	int rc;

	rc = accept_hello(hello, hello_len);
	check(rc == 0 || rc == ERR_PROTO);
	noise_free(n);
}

static int finish_answer(struct noise *n, const uint8_t *data, size_t len)
{
	struct hello_answer a;
	struct hello_keys keys;
	int rc;

	rc = hello_finish(n, data, len, &a, &keys);
	if (rc == 0) {
		check(a.status <= HELLO_BUSY);
		check_agent(a.agent);
	}
	return rc;
}

static void finish_foreign(const uint8_t *data, size_t len)
{
	uint8_t hello[HELLO_MAX];
	struct noise *n = new_device();

	(void)wrap(n, HELLO_MARK, NULL, 0, hello);
	check(finish_answer(n, data, len) == ERR_CRYPTO);
	noise_free(n);
}

static void finish_payload(const uint8_t *payload, size_t len)
{
	uint8_t hello[HELLO_MAX], answer[HELLO_MAX], out[HELLO_MAX];
	struct noise *n = new_device(), *g;
	size_t hello_len = wrap(n, HELLO_MARK, NULL, 0, hello), answer_len;
	int rc;

	check(noise_new_responder(&g, &gateway, prologue, sizeof(prologue),
	    gateway_ephemeral) == 0);
	check(noise_read(g, hello + HEAD, hello_len - HEAD, out,
	    &answer_len) == 0);
	answer_len = wrap(g, HELLO_ANSWER_MARK, payload, len, answer);
	rc = finish_answer(n, answer, answer_len);
	check(rc == 0 || rc == ERR_PROTO);
	noise_free(n);
	noise_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t whole;

	if (len < 1)
		return 0;
	if (device.pub[0] == 0) {
		crypto_x25519_public(device.pub, device.secret);
		crypto_x25519_public(gateway.pub, gateway.secret);
	}
	(void)hello_peek(HELLO_MARK, data + 1, len - 1, &whole);
	switch (data[0] & 3) {
	case 0:
		(void)accept_hello(data + 1, len - 1);
		break;
	case 1:
		accept_payload(data + 1, len - 1);
		break;
	case 2:
		finish_foreign(data + 1, len - 1);
		break;
	case 3:
		finish_payload(data + 1, len - 1);
		break;
	}
	return 0;
}
