/*
 * What the streams carry: bytes that are known from a key and their position,
 * and never repeat, so that nothing can be lost, doubled or moved unseen.
 */
#ifndef TESTS_SIM_PATTERN_H
#define TESTS_SIM_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* The bytes at [offset, offset + len). */
void pattern_fill(uint64_t key, uint64_t offset, uint8_t *out, size_t len);

/* How many bytes of data are as they should be; len when all are. */
size_t pattern_match(uint64_t key, uint64_t offset, const uint8_t *data,
    size_t len);

#endif
