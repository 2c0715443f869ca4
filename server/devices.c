#include "config.h"

#include "server/devices.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/nrpc.h"

#define SLOTS_MIN 64u

struct devices {
	struct device *list;
	size_t count, room;
	size_t *slots;		/* hash table: index into list + 1, or 0 */
	size_t slot_count;	/* a power of two, more than twice count */
};

struct devices *devices_new(void)
{
	return calloc(1, sizeof(struct devices));
}

static void free_servers(struct device *device)
{
	for (size_t i = 0; i < device->server_count; i++)
		free(device->servers[i]);
	free(device->servers);
}

void devices_free(struct devices *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->count; i++)
		free_servers(&d->list[i]);
	free(d->list);
	free(d->slots);
	free(d);
}

/*
 * The slot that holds the key, or the empty one where it belongs. Only the
 * administrator puts keys in, so their own bytes are hash enough.
 */
static size_t *find_slot(const struct devices *d, const uint8_t key[32])
{
	uint64_t hash;
	size_t i;

	memcpy(&hash, key, sizeof(hash));
	hash *= UINT64_C(0x9e3779b97f4a7c15);
	i = (size_t)(hash >> 32) & (d->slot_count - 1);
	while (d->slots[i] != 0 &&
	    memcmp(d->list[d->slots[i] - 1].key, key, 32) != 0)
		i = (i + 1) & (d->slot_count - 1);
	return &d->slots[i];
}

static int grow_slots(struct devices *d)
{
	size_t count = d->slot_count == 0 ? SLOTS_MIN : d->slot_count * 2;
	size_t *slots = calloc(count, sizeof(*slots));

	if (slots == NULL)
		return ERR_NOMEM;
	free(d->slots);
	d->slots = slots;
	d->slot_count = count;
	for (size_t i = 0; i < d->count; i++)
		*find_slot(d, d->list[i].key) = i + 1;
	return 0;
}

static int grow_list(struct devices *d)
{
	size_t room = d->room == 0 ? 16 : d->room * 2;
	struct device *list = reallocarray(d->list, room, sizeof(*list));

	if (list == NULL)
		return ERR_NOMEM;
	d->list = list;
	d->room = room;
	return 0;
}

int devices_add(struct devices *d, const struct device *device)
{
	size_t *slot;
	int rc;

	if (d->count == d->room) {
		rc = grow_list(d);
		if (rc != 0)
			return rc;
	}
	if (d->slot_count <= d->count * 2) {
		rc = grow_slots(d);
		if (rc != 0)
			return rc;
	}
	slot = find_slot(d, device->key);
	if (*slot != 0)
		return ERR_EXIST;
	d->list[d->count] = *device;
	d->list[d->count].servers = NULL;
	d->list[d->count].server_count = 0;
	*slot = ++d->count;
	return 0;
}

int devices_add_server(struct devices *d, const char *server)
{
	struct device *device = &d->list[d->count - 1];
	char **servers;

	servers = reallocarray(device->servers, device->server_count + 1,
	    sizeof(*servers));
	if (servers == NULL)
		return ERR_NOMEM;
	device->servers = servers;
	servers[device->server_count] = strdup(server);
	if (servers[device->server_count] == NULL)
		return ERR_NOMEM;
	device->server_count++;
	return 0;
}

const struct device *devices_find(const struct devices *d,
    const uint8_t key[32])
{
	size_t at;

	if (d->slot_count == 0)
		return NULL;
	at = *find_slot(d, key);
	return at == 0 ? NULL : &d->list[at - 1];
}

bool devices_allows(const struct device *device, const char *server)
{
	size_t len = strlen(server);

	if (device->revoked)
		return false;
	if (device->all_servers)
		return true;
	for (size_t i = 0; i < device->server_count; i++)
		if (nrpc_name_equal(device->servers[i],
		    strlen(device->servers[i]), server, len))
			return true;
	return false;
}

bool devices_name_valid(const char *name)
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(name);

	return len > 0 && len <= DEVICES_NAME_MAX &&
	    strspn(name, good) == len && name[0] != '-';
}

size_t devices_count(const struct devices *d)
{
	return d->count;
}

const struct device *devices_at(const struct devices *d, size_t i)
{
	return &d->list[i];
}
