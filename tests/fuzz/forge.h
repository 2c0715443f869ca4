/*
 * Records from a peer that has the keys and means no good: which frames they
 * hold, in which order and with which numbers is up to the input; they are
 * sealed as they should be, and so get past the authentication.
 *
 * Unless bytes are put in raw, all stream data follows forge_pattern, so that
 * whoever reads it can tell whether it is what was sent.
 */
#ifndef TESTS_FUZZ_FORGE_H
#define TESTS_FUZZ_FORGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hello.h"
#include "common/record.h"
#include "tests/fuzz/choices.h"

#define FORGE_STREAMS 32u	/* ids that are used most */

/* The forger's end of one session. */
struct forge {
	uint8_t id[RECORD_ID_LEN];
	struct record_key *seal, *open;	/* NULL: no keys yet */
	uint64_t epoch;		/* of what is sealed */
	bool tainted;		/* data was sent that is not the pattern */
	bool heard_any;
	uint64_t heard;		/* the highest number of their records */
	uint64_t offset[FORGE_STREAMS];	/* where data would go on */
};

/* What a record of theirs begins with. */
struct forge_heard {
	bool has_exchange;
	uint64_t lane, exchange;
};

/* Fails the run when what our own code guarantees does not hold. */
void forge_must(bool ok);

uint8_t forge_pattern(uint64_t stream, uint64_t offset);

/* Keys that a handshake gave: the session goes on under them. */
void forge_keys(struct forge *f, uint16_t generation,
    const uint8_t seal[32], const uint8_t open[32]);
void forge_fini(struct forge *f);

/*
 * One record of a few frames into out, which has room for RECORD_MAX bytes.
 * With exchange it begins with an EXCHANGE frame for that lane and number; with
 * end it ends with an END frame for them. Returns its length.
 */
struct forge_exchange {
	bool begin, end;
	uint64_t lane, exchange;
};
size_t forge_record(struct forge *f, struct choices *c,
    const struct forge_exchange *x, uint8_t *out);

/*
 * Whole records of theirs: fails the run unless each is sealed with the
 * session's keys and holds well-formed frames, with data as forge_pattern has
 * it.
 */
void forge_hear(struct forge *f, const uint8_t *data, size_t len,
    struct forge_heard *first);

#endif
