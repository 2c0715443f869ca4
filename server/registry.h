/*
 * The registry: which devices there are and which servers each may reach, in
 * one SQLite file. The only module that knows SQL. Every call may block on
 * the disk, and up to REGISTRY_BUSY_MS on another process that is writing;
 * a registry is used by one thread at a time, not always the same.
 *
 * Complaints (why) are whole sentences that name the file.
 */
#ifndef SERVER_REGISTRY_H
#define SERVER_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/devices.h"

#define REGISTRY_WHY_MAX 512u
#define REGISTRY_BUSY_MS 2000
#define REGISTRY_SEEN_S 60	/* last_seen is not written more often */

struct registry;

/*
 * Open the file. With create, one that does not exist is made, with mode 0600
 * and an empty list of devices; without, that is ERR_NOENT. ERR_IO, or
 * ERR_STATE when it is no registry, or one of a newer program.
 */
int registry_open(struct registry **out, const char *path, bool create,
    char why[REGISTRY_WHY_MAX]);
void registry_close(struct registry *r);

/* Is the file at its path still the one that was opened? */
bool registry_is_current(const struct registry *r);

/*
 * A number that differs after another connection has changed anything; our
 * own changes do not count. 0 or ERR_IO.
 */
int registry_version(struct registry *r, uint32_t *out,
    char why[REGISTRY_WHY_MAX]);

/* All devices, by name. 0, ERR_IO or ERR_NOMEM. */
int registry_load(struct registry *r, struct devices **out,
    char why[REGISTRY_WHY_MAX]);

/*
 * Add a device that may reach device->servers, or all. Only name, key and
 * servers count. ERR_EXIST when the name or the key was ever used.
 */
int registry_add(struct registry *r, const struct device *device,
    char why[REGISTRY_WHY_MAX]);

/* Change the servers of device->name to device->servers. ERR_NOENT. */
int registry_set_servers(struct registry *r, const struct device *device,
    char why[REGISTRY_WHY_MAX]);

/* Revoke for ever. ERR_NOENT; 0 also when it was revoked before. */
int registry_revoke(struct registry *r, const char *name,
    char why[REGISTRY_WHY_MAX]);

/*
 * The holders of these keys were seen at this time (seconds since 1970). Not
 * written where less than REGISTRY_SEEN_S have passed. 0 or ERR_IO.
 */
int registry_seen(struct registry *r, const uint8_t (*keys)[32], size_t count,
    int64_t at, char why[REGISTRY_WHY_MAX]);

#endif
