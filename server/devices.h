/*
 * The devices as the running gateway has them in memory: a snapshot of the
 * registry, found by key. Knows no SQL and no sessions.
 */
#ifndef SERVER_DEVICES_H
#define SERVER_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICES_NAME_MAX 64u	/* characters of a device's name */

struct device {
	char name[DEVICES_NAME_MAX + 1];
	uint8_t key[32];
	bool revoked;
	bool all_servers;	/* may reach every listed server */
	char **servers;		/* or these, by canonical name */
	size_t server_count;
	int64_t created;	/* seconds since 1970, UTC */
	int64_t revoked_at;	/* 0: not revoked */
	int64_t last_seen;	/* 0: never */
};

struct devices;

/* An empty snapshot, or NULL without memory. */
struct devices *devices_new(void);
void devices_free(struct devices *d);

/*
 * Append a device without servers, all but its servers taken from *device.
 * ERR_EXIST when the key is there already; ERR_NOMEM.
 */
int devices_add(struct devices *d, const struct device *device);

/* Let the device that was added last reach a server. 0, ERR_NOMEM. */
int devices_add_server(struct devices *d, const char *server);

/* The holder of a key, revoked or not; NULL: unknown. */
const struct device *devices_find(const struct devices *d,
    const uint8_t key[32]);

/* May this device reach the server of this name? Never, when revoked. */
bool devices_allows(const struct device *device, const char *server);

/* Is this a name that a device can have: letters, digits, '.', '-', '_'? */
bool devices_name_valid(const char *name);

/* In the order they were added. */
size_t devices_count(const struct devices *d);
const struct device *devices_at(const struct devices *d, size_t i);

#endif
