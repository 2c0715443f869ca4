/*
 * The status socket: whoever connects gets one JSON object about the tunnel,
 * and the end of the stream. The socket is the user's own (mode 0600).
 */
#ifndef CLIENT_STATUS_H
#define CLIENT_STATUS_H

#include <stdbool.h>

#include <uv.h>

#include "common/conf.h"

struct status;
struct tunnel;

/* Listen at path. 0, or an ERR_* with a sentence in why. */
int status_new(struct status **out, uv_loop_t *loop, struct tunnel *tunnel,
    const char *path, char why[CONF_WHY_MAX]);

/* Removes the socket; before the tunnel is freed. */
void status_free(struct status *s);

/*
 * The tunnel's state as JSON text, to be freed with free; NULL without
 * memory.
 */
char *status_json(struct tunnel *tunnel);

/*
 * The verb: ask the tunnel at path and print its answer for people, or as it
 * came. Returns the program's exit code: 0 up, 1 not running, 3 down.
 */
int status_show(const char *path, bool json);

/* Print a status for people; false when text is not one. For tests. */
bool status_print(const char *text, bool *up);

#endif
