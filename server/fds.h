/*
 * Descriptors that go from one program to another beside a state (common/
 * state.h): the state names them by their place in this list.
 */
#ifndef SERVER_FDS_H
#define SERVER_FDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fds {
	int *list;		/* -1: taken by its owner */
	size_t count;
	size_t size;		/* private */
	int rc;			/* ERR_NOMEM once there was no memory */
};

/* Append one; its place. After ERR_NOMEM in rc the place means nothing. */
uint64_t fds_add(struct fds *f, int fd);

/* The descriptor at a place, which is the caller's from now on; -1: none. */
int fds_take(struct fds *f, uint64_t place);

/* Free the list, and close what was not taken if it is ours to close. */
void fds_fini(struct fds *f, bool close_rest);

#endif
