#include "config.h"

#include "common/lane_table.h"

#include <stdlib.h>
#include <string.h>

#define STEP 8u			/* elements made at once */

void *lane_table_reach(void *table, size_t *count, size_t size,
    uint64_t lane)
{
	size_t wanted = ((size_t)lane / STEP + 1) * STEP;
	uint8_t *wider;

	if (lane < *count)
		return table;
	wider = realloc(table, wanted * size);
	if (wider == NULL)
		return NULL;
	memset(wider + *count * size, 0, (wanted - *count) * size);
	*count = wanted;
	return wider;
}
