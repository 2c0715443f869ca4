/*
 * Numbers on the wire: big-endian integers and the variable-length integers
 * of RFC 9000, section 16 (1, 2, 4 or 8 bytes, values below 2^62).
 *
 * Readers never look past what is left and writers never past the room given.
 */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VARINT_MAX ((UINT64_C(1) << 62) - 1)
#define WIRE_VARINT_LEN_MAX 8u

/* What remains to be read. */
struct wire_in {
	const uint8_t *p;
	size_t left;
};

/*
 * Read one item and step over it; on failure nothing is stepped over.
 * 0 or ERR_MORE (too few bytes left).
 */
int wire_get_u8(struct wire_in *in, uint8_t *out);
int wire_get_u16(struct wire_in *in, uint16_t *out);
int wire_get_u64(struct wire_in *in, uint64_t *out);
int wire_get_varint(struct wire_in *in, uint64_t *out);
int wire_get_bytes(struct wire_in *in, size_t len, const uint8_t **out);

/* A place to write to, of fixed size. */
struct wire_out {
	uint8_t *p;
	size_t left;
};

/*
 * Write one item and step over it; on failure nothing is written.
 * 0 or ERR_LIMIT (no room; for a varint also: value above WIRE_VARINT_MAX).
 */
int wire_put_u8(struct wire_out *out, uint8_t v);
int wire_put_u16(struct wire_out *out, uint16_t v);
int wire_put_u64(struct wire_out *out, uint64_t v);
int wire_put_varint(struct wire_out *out, uint64_t v);
int wire_put_bytes(struct wire_out *out, const void *data, size_t len);

/* Encoded length in bytes of a varint; v <= WIRE_VARINT_MAX. */
size_t wire_varint_len(uint64_t v);

/* Fixed places: the caller vouches for the room. */
uint16_t wire_load_u16(const uint8_t *p);
uint64_t wire_load_u64(const uint8_t *p);
void wire_store_u16(uint8_t *p, uint16_t v);
void wire_store_u64(uint8_t *p, uint64_t v);

#endif
