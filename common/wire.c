#include "config.h"

#include "common/wire.h"

#include <string.h>

#include "common/err.h"

uint16_t wire_load_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint64_t wire_load_u64(const uint8_t *p)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

void wire_store_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void wire_store_u64(uint8_t *p, uint64_t v)
{
	for (size_t i = 8; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

/* Step over n bytes, which are there. */
static void skip(struct wire_in *in, size_t n)
{
	in->p += n;
	in->left -= n;
}

int wire_get_u8(struct wire_in *in, uint8_t *out)
{
	if (in->left < 1)
		return ERR_MORE;
	*out = in->p[0];
	skip(in, 1);
	return 0;
}

int wire_get_u16(struct wire_in *in, uint16_t *out)
{
	if (in->left < 2)
		return ERR_MORE;
	*out = wire_load_u16(in->p);
	skip(in, 2);
	return 0;
}

int wire_get_u64(struct wire_in *in, uint64_t *out)
{
	if (in->left < 8)
		return ERR_MORE;
	*out = wire_load_u64(in->p);
	skip(in, 8);
	return 0;
}

int wire_get_varint(struct wire_in *in, uint64_t *out)
{
	size_t len;
	uint64_t v;

	if (in->left < 1)
		return ERR_MORE;
	len = (size_t)1 << (in->p[0] >> 6);
	if (in->left < len)
		return ERR_MORE;
	v = in->p[0] & 0x3f;
	for (size_t i = 1; i < len; i++)
		v = v << 8 | in->p[i];
	*out = v;
	skip(in, len);
	return 0;
}

int wire_get_bytes(struct wire_in *in, size_t len, const uint8_t **out)
{
	if (in->left < len)
		return ERR_MORE;
	*out = in->p;
	if (len > 0)
		skip(in, len);
	return 0;
}

/* Step over n bytes, which have been written. */
static void wrote(struct wire_out *out, size_t n)
{
	out->p += n;
	out->left -= n;
}

int wire_put_u8(struct wire_out *out, uint8_t v)
{
	if (out->left < 1)
		return ERR_LIMIT;
	out->p[0] = v;
	wrote(out, 1);
	return 0;
}

int wire_put_u16(struct wire_out *out, uint16_t v)
{
	if (out->left < 2)
		return ERR_LIMIT;
	wire_store_u16(out->p, v);
	wrote(out, 2);
	return 0;
}

int wire_put_u64(struct wire_out *out, uint64_t v)
{
	if (out->left < 8)
		return ERR_LIMIT;
	wire_store_u64(out->p, v);
	wrote(out, 8);
	return 0;
}

size_t wire_varint_len(uint64_t v)
{
	if (v < UINT64_C(1) << 6)
		return 1;
	if (v < UINT64_C(1) << 14)
		return 2;
	return v < UINT64_C(1) << 30 ? 4 : 8;
}

/* The two highest bits of the first byte: the length's logarithm. */
static uint8_t length_bits(size_t len)
{
	switch (len) {
	case 1:
		return 0x00;
	case 2:
		return 0x40;
	case 4:
		return 0x80;
	default:
		return 0xc0;
	}
}

int wire_put_varint(struct wire_out *out, uint64_t v)
{
	size_t len;

	if (v > WIRE_VARINT_MAX)
		return ERR_LIMIT;
	len = wire_varint_len(v);
	if (out->left < len)
		return ERR_LIMIT;
	for (size_t i = len; i-- > 0; v >>= 8)
		out->p[i] = (uint8_t)v;
	out->p[0] |= length_bits(len);
	wrote(out, len);
	return 0;
}

int wire_put_bytes(struct wire_out *out, const void *data, size_t len)
{
	if (out->left < len)
		return ERR_LIMIT;
	if (len == 0)
		return 0;
	memcpy(out->p, data, len);
	wrote(out, len);
	return 0;
}
