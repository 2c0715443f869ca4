/*
 * The bytes that the tests send: a stream of 64-bit pseudo-random words, each
 * a function of the seed and of its place. Any piece can be made or compared
 * without what is before it, at some GB/s, and bytes that are lost, doubled,
 * moved or taken from another stream show at the first word.
 */
#ifndef TESTS_SUPPORT_PATTERN_H
#define TESTS_SUPPORT_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* Write the bytes [offset, offset + len) of the stream with this seed. */
void pattern_fill(uint64_t seed, uint64_t offset, uint8_t *out, size_t len);

/* How many of the bytes are right before the first wrong one; len for all. */
size_t pattern_check(uint64_t seed, uint64_t offset, const uint8_t *data,
    size_t len);

#endif
