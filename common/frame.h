/*
 * Frames: what a record holds (docs/PROTOCOL.md, section "Frames").
 *
 * Decoding borrows: names, texts, data and acknowledgement ranges point into
 * the bytes that were decoded. Nothing here knows what a frame is good for.
 */
#ifndef COMMON_FRAME_H
#define COMMON_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ranges.h"
#include "common/wire.h"

enum frame_type {
	FRAME_PADDING = 0x00,	/* one zero byte; a run decodes as one frame */
	FRAME_EXCHANGE = 0x01,	/* lane, exchange, hold_ms, keep */
	FRAME_END = 0x02,	/* lane, exchange, backlog */
	FRAME_ACK = 0x03,	/* RFC 9000 section 19.3, no delay and ECN */
	FRAME_OPEN = 0x04,	/* stream, name length, name */
	FRAME_WINDOW = 0x05,	/* stream, limit */
	FRAME_RESET = 0x06,	/* stream, code */
	FRAME_PING = 0x07,	/* 8 bytes */
	FRAME_PONG = 0x08,	/* the same 8 bytes */
	FRAME_CLOSE = 0x09,	/* code, text length, text */
	FRAME_DATA = 0x10,	/* stream, offset, length, bytes */
	FRAME_DATA_FIN = 0x11	/* the same, and the stream's half ends there */
};

#define FRAME_NAME_MAX 255u	/* bytes of a server name in OPEN */
#define FRAME_TEXT_MAX 255u	/* bytes of text in CLOSE */
#define FRAME_ACK_RANGES_MAX 256u

struct frame {
	enum frame_type type;	/* FRAME_DATA_FIN decodes as DATA with fin */
	union {
		struct {
			uint64_t lane, exchange, hold_ms, keep;
		} exchange;
		struct {
			uint64_t lane, exchange, backlog;
		} end;
		struct {
			uint64_t largest;
			uint64_t count;		/* ranges, at least 1 */
			struct wire_in rest;	/* private */
			uint64_t next;		/* private */
		} ack;
		struct {
			uint64_t stream;
			const uint8_t *name;	/* NULL when name_len is 0 */
			size_t name_len;
		} open;
		struct {
			uint64_t stream, limit;
		} window;
		struct {
			uint64_t stream, code;
		} reset;
		struct {
			uint64_t token;
		} ping;			/* and pong */
		struct {
			uint64_t code;
			const uint8_t *text;
			size_t text_len;
		} close;
		struct {
			uint64_t stream, offset;
			const uint8_t *data;
			size_t len;
			bool fin;
		} data;
	} u;
};

/*
 * Decode the frame at the front of `in` and step over it. A record is always
 * complete, so a frame that is cut off is as bad as one of unknown type.
 * 0; ERR_MORE when `in` is empty (the record is done); ERR_PROTO for
 * anything malformed: unknown type, cut off, name or text too long, more than
 * FRAME_ACK_RANGES_MAX ranges, ranges that go below zero, data whose end
 * exceeds WIRE_VARINT_MAX. All ranges of an ACK are checked here.
 */
int frame_decode(struct wire_in *in, struct frame *out);

/*
 * The next range of a decoded ACK, highest first. False when there are no
 * more. Called until false, it returns ack.count ranges.
 */
bool frame_ack_next(struct frame *ack, struct range *out);

/*
 * Append one frame. 0, or ERR_LIMIT when it does not fit, or a number or name
 * is too large (nothing is written). CLOSE's text is cut to FRAME_TEXT_MAX.
 */
int frame_put_exchange(struct wire_out *out, uint64_t lane, uint64_t exchange,
    uint64_t hold_ms, uint64_t keep);
int frame_put_end(struct wire_out *out, uint64_t lane, uint64_t exchange,
    uint64_t backlog);
int frame_put_open(struct wire_out *out, uint64_t stream, const void *name,
    size_t name_len);
int frame_put_window(struct wire_out *out, uint64_t stream, uint64_t limit);
int frame_put_reset(struct wire_out *out, uint64_t stream, uint64_t code);
int frame_put_ping(struct wire_out *out, uint64_t token);
int frame_put_pong(struct wire_out *out, uint64_t token);
int frame_put_close(struct wire_out *out, uint64_t code, const char *text);
int frame_put_padding(struct wire_out *out, size_t len);

/*
 * Append an ACK of the highest ranges of `seen` that reach above `floor`, as
 * many as fit, at most FRAME_ACK_RANGES_MAX. ERR_LIMIT when not even one
 * fits, ERR_NOENT when there is nothing to acknowledge. *whole: none was left
 * out.
 */
int frame_put_ack(struct wire_out *out, const struct ranges *seen,
    uint64_t floor, bool *whole);

/*
 * Append the head of a DATA frame for len bytes; the caller then writes the
 * bytes themselves at out->p (they fit: checked here) and steps over them.
 */
int frame_put_data_head(struct wire_out *out, uint64_t stream,
    uint64_t offset, size_t len, bool fin);

/*
 * The most data bytes that a DATA frame for stream and offset can carry in
 * `left` bytes; 0 when not even an empty frame fits in addition to one byte.
 */
size_t frame_data_room(size_t left, uint64_t stream, uint64_t offset);

#endif
