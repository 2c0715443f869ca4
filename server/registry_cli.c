#include "config.h"

#include "server/registry_cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "common/err.h"
#include "common/keyfile.h"
#include "server/devices.h"
#include "server/registry.h"

#define STATUS_USAGE 2

static int complain(const char *why)
{
	fprintf(stderr, "nrpc-gateway: %s\n", why);
	return EXIT_FAILURE;
}

static int usage(const char *why)
{
	fprintf(stderr, "nrpc-gateway: %s; see 'nrpc-gateway device --help'\n",
	    why);
	return STATUS_USAGE;
}

void registry_cli_help(void)
{
	puts("usage: nrpc-gateway device add NAME KEY SERVERS\n"
	    "       nrpc-gateway device servers NAME SERVERS\n"
	    "       nrpc-gateway device list [--json]\n"
	    "       nrpc-gateway device revoke NAME\n"
	    "\n"
	    "NAME is yours to choose: letters, digits, '.', '-' and '_'.\n"
	    "KEY is the device's public key: 'nrpc-tunnel keygen' shows it.\n"
	    "\n"
	    "SERVERS is one of:\n"
	    "  --server NAME    a listed Domino server; may be repeated\n"
	    "  --all-servers    all that are listed, now and later\n"
	    "\n"
	    "  --json           list for programs\n"
	    "  --config FILE    the configuration (" SETTINGS_FILE ")\n"
	    "  --help           show this");
}

/* ---- changes ---------------------------------------------------------- */

/* The servers as they are listed, so that their spelling is one. */
static int take_servers(const struct options *o, const struct settings *s,
    struct device *device, char **names)
{
	char why[1024];

	if (o->all_servers == (o->server_count > 0))
		return usage("say which servers: --server NAME (any number), "
		    "or --all-servers");
	for (size_t i = 0; i < o->server_count; i++) {
		const struct server *server = servers_find(s->servers,
		    o->servers[i], strlen(o->servers[i]));

		if (server == NULL) {
			snprintf(why, sizeof(why), "server '%.255s' is not "
			    "listed in %.200s; add a section [server ...] "
			    "first", o->servers[i], o->file);
			return complain(why);
		}
		names[i] = server->name;
	}
	device->servers = names;
	device->server_count = o->server_count;
	device->all_servers = o->all_servers;
	return 0;
}

static int take_name(const char *name, struct device *device)
{
	if (!devices_name_valid(name))
		return complain("a device's name has 1 to 64 letters, digits, "
		    "'.', '-' or '_'");
	snprintf(device->name, sizeof(device->name), "%s", name);
	return 0;
}

static int change(const struct settings *s, const struct device *device,
    int (*fn)(struct registry *r, const struct device *device,
    char why[REGISTRY_WHY_MAX]))
{
	char why[REGISTRY_WHY_MAX];
	struct registry *r;
	int rc = registry_open(&r, s->registry, true, why);

	if (rc != 0)
		return complain(why);
	rc = fn(r, device, why);
	registry_close(r);
	return rc == 0 ? 0 : complain(why);
}

static int add(const struct options *o, const struct settings *s)
{
	struct device device = { 0 };
	char *names[OPTIONS_MAX];
	char print[KEYFILE_FINGERPRINT_LEN + 1];
	int status;

	if (o->word_count != 3)
		return usage("'device add' needs a name and a key");
	status = take_name(o->words[1], &device);
	if (status == 0 && keyfile_decode(o->words[2], strlen(o->words[2]),
	    device.key) != 0)
		status = complain("the key must be 44 characters of base64, "
		    "as 'nrpc-tunnel keygen' shows it");
	if (status == 0)
		status = take_servers(o, s, &device, names);
	if (status == 0)
		status = change(s, &device, registry_add);
	if (status != 0)
		return status;
	keyfile_fingerprint(device.key, print);
	printf("added %s %s\n", device.name, print);
	return 0;
}

static int set_servers(const struct options *o, const struct settings *s)
{
	struct device device = { 0 };
	char *names[OPTIONS_MAX];
	int status;

	if (o->word_count != 2)
		return usage("'device servers' needs a name");
	status = take_name(o->words[1], &device);
	if (status == 0)
		status = take_servers(o, s, &device, names);
	if (status == 0)
		status = change(s, &device, registry_set_servers);
	if (status == 0)
		printf("changed %s\n", device.name);
	return status;
}

static int revoke_device(struct registry *r, const struct device *device,
    char why[REGISTRY_WHY_MAX])
{
	return registry_revoke(r, device->name, why);
}

static int revoke_by_name(const struct options *o, const struct settings *s)
{
	struct device device = { 0 };
	int status;

	if (o->word_count != 2)
		return usage("'device revoke' needs a name");
	status = take_name(o->words[1], &device);
	if (status == 0)
		status = change(s, &device, revoke_device);
	if (status == 0)
		printf("revoked %s\n", device.name);
	return status;
}

/* ---- list ------------------------------------------------------------- */

/* ISO 8601, or "-" for never. */
static const char *time_text(int64_t at, char out[32])
{
	time_t t = (time_t)at;
	struct tm tm;

	if (at == 0 || gmtime_r(&t, &tm) == NULL ||
	    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, 32, "-");
	return out;
}

static void print_row(const struct device *d, int width)
{
	char print[KEYFILE_FINGERPRINT_LEN + 1];
	char created[32], seen[32];

	keyfile_fingerprint(d->key, print);
	printf("%-*s  %-50s  %-20s  %-20s  %-7s  ", width, d->name, print,
	    time_text(d->created, created), time_text(d->last_seen, seen),
	    d->revoked ? "revoked" : "active");
	if (d->all_servers)
		printf("all");
	for (size_t i = 0; i < d->server_count; i++)
		printf("%s%s", i == 0 ? "" : ", ", d->servers[i]);
	printf("\n");
}

static void print_table(const struct devices *list)
{
	int width = 4;

	for (size_t i = 0; i < devices_count(list); i++)
		if ((int)strlen(devices_at(list, i)->name) > width)
			width = (int)strlen(devices_at(list, i)->name);
	printf("%-*s  %-50s  %-20s  %-20s  %-7s  %s\n", width, "NAME",
	    "FINGERPRINT", "CREATED", "LAST SEEN", "STATE", "SERVERS");
	for (size_t i = 0; i < devices_count(list); i++)
		print_row(devices_at(list, i), width);
}

static json_t *time_json(int64_t at)
{
	char text[32];

	return at == 0 ? json_null() : json_string(time_text(at, text));
}

static json_t *device_json(const struct device *d)
{
	char key[KEYFILE_TEXT_LEN + 1], print[KEYFILE_FINGERPRINT_LEN + 1];
	json_t *servers = json_array();

	for (size_t i = 0; i < d->server_count; i++)
		json_array_append_new(servers, json_string(d->servers[i]));
	keyfile_encode(d->key, key);
	keyfile_fingerprint(d->key, print);
	return json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o}",
	    "name", d->name, "key", key, "fingerprint", print,
	    "all_servers", (int)d->all_servers, "servers", servers,
	    "created", time_json(d->created),
	    "last_seen", time_json(d->last_seen),
	    "revoked", d->revoked ? time_json(d->revoked_at) : json_null());
}

static int print_json(const struct devices *list)
{
	json_t *array = json_array();
	int rc = 0;

	for (size_t i = 0; i < devices_count(list) && rc == 0; i++)
		rc = json_array_append_new(array,
		    device_json(devices_at(list, i)));
	if (rc == 0)
		rc = json_dumpf(array, stdout, JSON_INDENT(2));
	json_decref(array);
	printf("\n");
	return rc == 0 ? 0 : complain("no memory");
}

static int list_devices(const struct options *o, const struct settings *s)
{
	char why[REGISTRY_WHY_MAX];
	struct registry *r;
	struct devices *list;
	int rc = registry_open(&r, s->registry, false, why);

	if (rc != 0)
		return complain(why);
	rc = registry_load(r, &list, why);
	registry_close(r);
	if (rc != 0)
		return complain(why);
	if (o->json)
		rc = print_json(list);
	else
		print_table(list);
	devices_free(list);
	return rc;
}

int registry_cli(const struct options *o, const struct settings *s)
{
	const char *verb = o->word_count > 0 ? o->words[0] : "";

	if (strcmp(verb, "add") == 0)
		return add(o, s);
	if (strcmp(verb, "servers") == 0)
		return set_servers(o, s);
	if (strcmp(verb, "list") == 0)
		return list_devices(o, s);
	if (strcmp(verb, "revoke") == 0)
		return revoke_by_name(o, s);
	return usage("'device' needs one of add, servers, list, revoke");
}
