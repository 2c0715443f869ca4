/*
 * What a Notes client's first packet tells: the name of the server it wants.
 *
 * NRPC is not published. Only what public clients show is used: the 12-byte
 * packet head (little-endian), and a u16 length followed by text beginning
 * "CN=". Everything else is opaque.
 */
#ifndef COMMON_NRPC_H
#define COMMON_NRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NRPC_PORT 1352u
#define NRPC_NAME_MAX 255u	/* bytes of a canonical name */
#define NRPC_PEEK_MAX 4096u	/* never look further than this */

enum nrpc_verdict {
	NRPC_MORE,	/* cannot tell yet: wait for more bytes */
	NRPC_NAMED,	/* name and name_len say which server */
	NRPC_UNNAMED,	/* a whole first packet without a server's name */
	NRPC_HTTP,	/* plainly HTTP */
	NRPC_TLS,	/* plainly a TLS ClientHello */
	NRPC_SSH,	/* plainly SSH */
	NRPC_BITTORRENT,/* plainly a BitTorrent handshake */
	NRPC_MALFORMED	/* no NRPC packet, and nothing known either */
};

struct nrpc_peek {
	enum nrpc_verdict verdict;
	const uint8_t *name;	/* into the bytes given; only for NRPC_NAMED */
	size_t name_len;
};

/*
 * Look at the first len bytes of a connection, all that have arrived so far.
 * Decides as early as it can; with NRPC_PEEK_MAX bytes it always decides.
 * Cutting the same bytes differently never leads to another decision.
 */
struct nrpc_peek nrpc_peek(const uint8_t *data, size_t len);

/* "named", "http", ...: for log lines. */
const char *nrpc_verdict_name(enum nrpc_verdict v);

/*
 * Is this a canonical server name that may stand in a configuration: "CN=..."
 * components separated by '/', each KEY=value with a known key (CN, OU, O, C),
 * printable UTF-8, no empty value, at most NRPC_NAME_MAX bytes?
 */
bool nrpc_name_valid(const char *name, size_t len);

/*
 * Compare two canonical names as Domino does: without regard to the case of
 * ASCII letters.
 */
bool nrpc_name_equal(const void *a, size_t a_len, const void *b, size_t b_len);

/*
 * The 60-byte first packet of a session without a server's name, as in nmap's
 * NotesRPC probe: a Domino server answers it with its name.
 */
extern const uint8_t nrpc_probe[60];

/*
 * Find the server's name ("CN=.../O=...") in the answer to the probe.
 * 0; ERR_MORE; ERR_PROTO (not Domino's answer).
 */
int nrpc_probe_answer(const uint8_t *data, size_t len, const uint8_t **name,
    size_t *name_len);

#endif
