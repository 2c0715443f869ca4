#include "config.h"

#include "tests/support/pattern.h"

#include <endian.h>
#include <string.h>

/* splitmix64's output function over a counter. */
static inline uint64_t word_at(uint64_t seed, uint64_t index)
{
	uint64_t z = seed + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return htole64(z ^ (z >> 31));
}

/* The rest of the word that offset lies in, at most len bytes of it. */
static size_t piece_at(uint64_t seed, uint64_t offset, size_t len,
    uint8_t out[8])
{
	uint64_t word = word_at(seed, offset / 8);
	size_t skip = (size_t)(offset % 8);
	size_t n = 8 - skip;

	if (n > len)
		n = len;
	memcpy(out, (const uint8_t *)&word + skip, n);
	return n;
}

void pattern_fill(uint64_t seed, uint64_t offset, uint8_t *out, size_t len)
{
	uint8_t piece[8];
	uint64_t word;
	size_t n;

	while (len > 0 && (offset % 8 != 0 || len < 8)) {
		n = piece_at(seed, offset, len, piece);
		memcpy(out, piece, n);
		out += n;
		offset += n;
		len -= n;
	}
	for (n = 0; n + 8 <= len; n += 8) {
		word = word_at(seed, (offset + n) / 8);
		memcpy(out + n, &word, 8);
	}
	if (n < len)
		(void)piece_at(seed, offset + n, len - n, out + n);
}

/* Compare at most one word's worth, byte by byte. */
static size_t check_piece(uint64_t seed, uint64_t offset, const uint8_t *data,
    size_t len, size_t *n)
{
	uint8_t piece[8];
	size_t same = 0;

	*n = piece_at(seed, offset, len, piece);
	while (same < *n && piece[same] == data[same])
		same++;
	return same;
}

size_t pattern_check(uint64_t seed, uint64_t offset, const uint8_t *data,
    size_t len)
{
	size_t done = 0, n, same;
	uint64_t want, got;

	while (done < len) {
		if ((offset + done) % 8 == 0) {
			for (; len - done >= 8; done += 8) {
				want = word_at(seed, (offset + done) / 8);
				memcpy(&got, data + done, 8);
				if (want != got)
					break;
			}
			if (done == len)
				break;
		}
		same = check_piece(seed, offset + done, data + done,
		    len - done, &n);
		done += same;
		if (same < n)
			break;
	}
	return done;
}
