#include "config.h"

#include "tests/sim/pattern.h"

#include <string.h>

static uint64_t word(uint64_t key, uint64_t index)
{
	uint64_t z = key + index * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
	return z ^ (z >> 32);
}

void pattern_fill(uint64_t key, uint64_t offset, uint8_t *out, size_t len)
{
	while (len > 0) {
		uint64_t w = word(key, offset / 8);
		size_t skip = offset % 8;
		size_t part = len < 8 - skip ? len : 8 - skip;

		memcpy(out, (const uint8_t *)&w + skip, part);
		out += part;
		offset += part;
		len -= part;
	}
}

size_t pattern_match(uint64_t key, uint64_t offset, const uint8_t *data,
    size_t len)
{
	uint8_t want[4096];
	size_t done = 0;

	while (done < len) {
		size_t part = len - done < sizeof(want) ? len - done :
		    sizeof(want);

		pattern_fill(key, offset + done, want, part);
		if (memcmp(want, data + done, part) != 0)
			break;
		done += part;
	}
	for (; done < len; done++) {
		pattern_fill(key, offset + done, want, 1);
		if (want[0] != data[done])
			break;
	}
	return done;
}
