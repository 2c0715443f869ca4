/*
 * Arrays with an element for each lane, made as lanes are used: without bulk
 * three or four of SESSION_LANES are.
 */
#ifndef COMMON_LANE_TABLE_H
#define COMMON_LANE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Have a table of *count elements of this size (bytes), NULL at first, reach
 * the lane; elements that are new are filled with zeros. Returns the table,
 * which may have moved and is to be freed by free(); NULL without memory, and
 * then nothing has changed.
 */
void *lane_table_reach(void *table, size_t *count, size_t size,
    uint64_t lane);

#endif
