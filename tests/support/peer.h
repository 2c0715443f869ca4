/*
 * One TCP connection of the test programs: sends pieces of a pattern, compares
 * what arrives with another, and tells when either is done. Keeps no data: a
 * thousand of them are cheap, and a connection that is not told to read does
 * not.
 *
 * Callbacks run only from the loop and may call anything, peer_close included.
 */
#ifndef TESTS_SUPPORT_PEER_H
#define TESTS_SUPPORT_PEER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <uv.h>

#define PEER_BYTES_MAX 65536u		/* for peer_send_bytes, peer_take */
#define PEER_UNLIMITED UINT64_MAX

struct peer;

struct peer_ops {
	void (*on_connected)(void *user, struct peer *p);
	/* After peer_tell_sent: the kernel has taken everything. */
	void (*on_sent)(void *user, struct peer *p);
	/* What was asked for by peer_expect or peer_take is there. */
	void (*on_received)(void *user, struct peer *p);
	/* The other end has ended its half. Nothing more is read. */
	void (*on_eof)(void *user, struct peer *p);
	/*
	 * err is an errno: ECONNREFUSED, ECONNRESET, ...; EILSEQ when a byte
	 * is wrong (peer_received is its place), EPROTO when bytes came
	 * though none were expected. Nothing more is read or sent.
	 */
	void (*on_failed)(void *user, struct peer *p, int err);
};

/* Connect, or take over a connected descriptor. NULL: errno says why. */
struct peer *peer_connect(uv_loop_t *loop, const struct sockaddr *sa,
    const struct peer_ops *ops, void *user);
struct peer *peer_accept(uv_loop_t *loop, int fd, const struct peer_ops *ops,
    void *user);

/* Close, or reset, and release. */
void peer_close(struct peer *p);
void peer_reset(struct peer *p);

/* Queue a copy of bytes; they go before a pattern that is queued later. */
void peer_send_bytes(struct peer *p, const void *data, size_t len);

/* Send the pattern's bytes [offset, offset + len) after what was queued. */
void peer_send(struct peer *p, uint64_t seed, uint64_t offset, uint64_t len);

/* Have on_sent called once; end our half once everything is sent. */
void peer_tell_sent(struct peer *p);
void peer_end(struct peer *p);

/* Expect the pattern's bytes [offset, offset + len), len > 0. */
void peer_expect(struct peer *p, uint64_t seed, uint64_t offset,
    uint64_t len);

/*
 * Expect bytes without knowing them: at least `least`, at most `most`; they
 * are peer_taken until the next peer_take.
 */
void peer_take(struct peer *p, size_t least, size_t most);
const uint8_t *peer_taken(const struct peer *p, size_t *len);

/* Expect nothing but the end. Also the state after all was received. */
void peer_expect_end(struct peer *p);

/* Read at most so many bytes more, then leave them to the kernel. */
void peer_allow(struct peer *p, uint64_t bytes);

/* Since the beginning. */
uint64_t peer_sent(const struct peer *p);
uint64_t peer_received(const struct peer *p);

/* Of the pattern expected now: the place of the next byte. */
uint64_t peer_place(const struct peer *p);

#endif
