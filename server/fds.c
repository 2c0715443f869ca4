#include "config.h"

#include "server/fds.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"

uint64_t fds_add(struct fds *f, int fd)
{
	if (f->count == f->size) {
		size_t size = f->size == 0 ? 64 : 2 * f->size;
		int *list = reallocarray(f->list, size, sizeof(*list));

		if (list == NULL) {
			f->rc = ERR_NOMEM;
			return 0;
		}
		f->list = list;
		f->size = size;
	}
	f->list[f->count] = fd;
	return f->count++;
}

int fds_take(struct fds *f, uint64_t place)
{
	int fd;

	if (place >= f->count)
		return -1;
	fd = f->list[place];
	f->list[place] = -1;
	return fd;
}

void fds_fini(struct fds *f, bool close_rest)
{
	for (size_t i = 0; close_rest && i < f->count; i++)
		if (f->list[i] >= 0)
			close(f->list[i]);
	free(f->list);
	*f = (struct fds){ 0 };
}
