/*
 * First packets and probe answers, on any bytes: every prefix must lead to
 * MORE or to the final verdict, and a name must lie inside and be sound.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/nrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
void fuzz_seeds(void (*add)(const uint8_t *data, size_t len));

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* The same question with no byte behind the first cut ones. */
static struct nrpc_peek peek_prefix(const uint8_t *data, size_t cut)
{
	uint8_t *copy = malloc(cut > 0 ? cut : 1);
	struct nrpc_peek peek;

	must(copy != NULL);
	if (cut > 0)
		memcpy(copy, data, cut);
	peek = nrpc_peek(copy, cut);
	if (peek.verdict == NRPC_NAMED) {
		must(peek.name >= copy && peek.name_len >= 4 &&
		    peek.name_len <= NRPC_NAME_MAX &&
		    peek.name_len <= (size_t)(copy + cut - peek.name));
		must(memcmp(peek.name, "CN=", 3) == 0);
		peek.name = data + (peek.name - copy);
	}
	free(copy);
	return peek;
}

/*
 * MORE for a while, then one verdict for good. Every prefix of a short input;
 * of a long one every one in the beginning and then some.
 */
static void check_peek(const uint8_t *data, size_t len)
{
	struct nrpc_peek last = peek_prefix(data, len);
	bool decided = false;

	must(len < NRPC_PEEK_MAX || last.verdict != NRPC_MORE);
	for (size_t cut = 0; cut < len; cut += cut < 300 ? 1 : 37) {
		struct nrpc_peek peek = peek_prefix(data, cut);

		if (peek.verdict == NRPC_MORE) {
			must(!decided);
			continue;
		}
		decided = true;
		must(peek.verdict == last.verdict && peek.name == last.name &&
		    peek.name_len == last.name_len);
	}
}

static void check_answer(const uint8_t *data, size_t len)
{
	const uint8_t *name = NULL;
	size_t name_len = 0;
	int rc = nrpc_probe_answer(data, len, &name, &name_len);

	if (rc == 0) {
		must(name >= data && name_len <= (size_t)(data + len - name));
		must(nrpc_name_valid((const char *)name, name_len));
	} else {
		must(rc == ERR_MORE || rc == ERR_PROTO);
		must(name == NULL && name_len == 0);
	}
	for (size_t cut = 0; cut < len && cut < 260; cut++) {
		int early = nrpc_probe_answer(data, cut, &name, &name_len);

		must(early == ERR_MORE || early == rc);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_peek(data, len);
	check_answer(data, len);
	(void)nrpc_name_valid((const char *)data, len);
	must(nrpc_name_equal(data, len, data, len));
	return 0;
}

void fuzz_seeds(void (*add)(const uint8_t *data, size_t len))
{
	static const char torrent[] = "\x13" "BitTorrent protocol";
	static const uint8_t answer[] = "\x4a\0\0\0\x3f\0\0\0\3\0\0@\2\x0f\0"
	    "\5\0\x39\5\1\2\3\4\5\3\0\0\0\0\2\0/\0\x0f\0\0\0\0\0\0\0"
	    "CN=Mail1/OU=East/O=Acme\0\0\0\0\0\0\0\0\0\0\0";
	uint8_t named[100] = { 0 };

	add(nrpc_probe, sizeof(nrpc_probe));
	memcpy(named, nrpc_probe, sizeof(nrpc_probe));
	named[0] = sizeof(named) - 2;
	named[4] = sizeof(named) - 12;
	memcpy(named + 60, "\x0f\0CN=Mail1/O=Acme", 17);
	add(named, sizeof(named));
	add(answer, sizeof(answer) - 1);
	add((const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
	add((const uint8_t *)"SSH-2.0-x\r\n", 11);
	add((const uint8_t *)"\x16\3\1\0\x20\1", 6);
	add((const uint8_t *)torrent, sizeof(torrent) - 1);
	add((const uint8_t *)"CN=Mail/OU=\xc3\xb6/O=Acme/C=DE", 25);
}
