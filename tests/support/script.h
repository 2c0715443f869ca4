/*
 * What the tests' guest asks of the tests' Domino: a first packet that looks
 * like a Notes client's (NRPC head, session request, the server's name if
 * there is one) and ends with a command, so that one stand-in serves every
 * scenario.
 */
#ifndef TESTS_SUPPORT_SCRIPT_H
#define TESTS_SUPPORT_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

#define SCRIPT_HEAD 12u			/* bytes of an NRPC packet's head */
#define SCRIPT_PACKET_MAX 1024u		/* a first packet is never longer */
#define SCRIPT_NAME_MAX 255u

enum script_scenario {
	SCRIPT_NONE = 0,	/* no command: answer as Domino does */
	SCRIPT_ECHO,		/* send back what comes, until its end */
	SCRIPT_PINGPONG,	/* for every `up` bytes, `down` bytes */
	SCRIPT_DOWN,		/* send `down` bytes and end */
	SCRIPT_UP,		/* take `up` bytes, send the verdict, end */
	SCRIPT_BOTH,		/* both at once, the verdict last */
	SCRIPT_CLOSE,		/* send `down` bytes and close at once */
	SCRIPT_RESET,		/* send `down` bytes, reset after `ms` */
	SCRIPT_HALFCLOSE,	/* take `up` bytes and the end, then `down` */
	SCRIPT_SILENT,		/* say nothing until the guest ends */
	SCRIPT_COUNT
};

struct script {
	enum script_scenario scenario;
	uint64_t up, down;	/* bytes towards, and from, the Domino */
	uint64_t seed;		/* of both patterns, see script_seed_* */
	uint64_t stall_after;	/* stop reading after that many bytes up; */
	uint32_t stall_ms;	/* for so long; 0: until SIGUSR1 */
	uint32_t ms;		/* pause before an answer or a reset */
	uint64_t stall_rate;	/* while stalled, take so many bytes/s */
};

#define SCRIPT_NO_STALL UINT64_MAX	/* for stall_after */

/* Each direction has a pattern of its own. */
uint64_t script_seed_up(const struct script *s);
uint64_t script_seed_down(const struct script *s);

const char *script_name(enum script_scenario s);

/*
 * Write a first packet: name may be NULL; script NULL is nmap's NotesRPC
 * probe (with a name, if given, as Notes adds it). Returns its length.
 */
size_t script_encode(const struct script *s, const char *name,
    uint8_t out[SCRIPT_PACKET_MAX]);

/*
 * Bytes of the whole packet, from its head; 0 when this is no session request
 * or longer than SCRIPT_PACKET_MAX.
 */
size_t script_packet_len(const uint8_t head[SCRIPT_HEAD]);

/* The command in a whole packet: SCRIPT_NONE if there is none. */
void script_decode(const uint8_t *packet, size_t len, struct script *out);

/*
 * Domino's answer to a session request, which tells its name; returns the
 * length, at most 256 bytes for names of at most 128.
 */
size_t script_answer(const char *server, uint8_t out[SCRIPT_PACKET_MAX]);

/*
 * The server's name in an answer, copied to name: 0, or -1 if it is not the
 * answer of a Domino server.
 */
int script_answer_name(const uint8_t *data, size_t len,
    char name[SCRIPT_NAME_MAX + 1]);

/* What the Domino says of an upload: how many bytes came and were right. */
#define SCRIPT_VERDICT_LEN 8u
void script_verdict_encode(uint64_t right, uint8_t out[SCRIPT_VERDICT_LEN]);
uint64_t script_verdict_decode(const uint8_t in[SCRIPT_VERDICT_LEN]);

#endif
