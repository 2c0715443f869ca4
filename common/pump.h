/*
 * The pump joins a local TCP connection and a stream of a session: what is
 * read from the one is written to the other, both ways, with back-pressure,
 * half-close as half-close and reset as reset. The only file that knows both.
 *
 * The client has one per Notes connection, the gateway one per Domino
 * connection. All pumps of a process are on one loop, and the process ignores
 * SIGPIPE.
 */
#ifndef COMMON_PUMP_H
#define COMMON_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

struct pump;
struct stream;

struct pump_ops {
	/*
	 * Both directions are over, well or badly, and the socket is closed
	 * or closing: the pump has let go of the stream and is freed after
	 * this returns. reset_code is STREAM_OK or the code the stream was
	 * reset with, by either side.
	 */
	void (*on_done)(void *ctx, struct pump *p, uint64_t reset_code);
	/*
	 * All pumps together have read PUMP_PORTION times since this was
	 * called last, for whichever of them: time to send on what came, as
	 * many connections that are read in one turn of the loop would
	 * otherwise all wait for the last of them, and go in step from then
	 * on. The pump may be aborted in here. NULL is fine.
	 */
	void (*on_portion)(void *ctx);
};

#define PUMP_PORTION 16u

/*
 * Take over a connected uv_tcp_t (heap-allocated by malloc; the pump closes
 * and frees it, and uses its data pointer) and a stream (session.h), to which
 * it attaches itself: what is readable already is written at once. 0,
 * ERR_NOMEM or ERR_IO; on failure the caller still owns both.
 */
int pump_new(struct pump **out, uv_tcp_t *tcp, struct stream *stream,
    const struct pump_ops *ops, void *ctx);

/*
 * For an upgrade, in which another program goes on with socket and stream.
 * What the socket has taken is consumed now: the stream can then be written
 * down (session_state.h), and *out says where this pump stands. It goes on if
 * it is let.
 */
struct pump_state {
	int fd;				/* still the pump's */
	bool in_ended, out_ended;	/* see pump.c */
	uint64_t bytes_in, bytes_out;
};
void pump_settle(struct pump *p, struct pump_state *out);

/*
 * The other end of that: as pump_new, but nothing is read or written before
 * pump_start, which may call on_done. from->fd is not looked at. 0 or
 * ERR_NOMEM.
 */
int pump_resume(struct pump **out, uv_tcp_t *tcp, struct stream *stream,
    const struct pump_state *from, const struct pump_ops *ops, void *ctx);
void pump_start(struct pump *p);

/* Reset both sides now, with this code for the peer. on_done is called. */
void pump_abort(struct pump *p, uint64_t code);

/* Bytes moved: from the socket to the stream, and from the stream. */
uint64_t pump_bytes_in(const struct pump *p);
uint64_t pump_bytes_out(const struct pump *p);

/* Close a TCP connection with a reset (SO_LINGER 0) and free it. */
void pump_close_reset(uv_tcp_t *tcp);

#endif
