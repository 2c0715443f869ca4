/*
 * The gateway's settings: defaults, the configuration file, options of the
 * command line over it, and whether all of it makes sense together. Reads
 * no keys, opens nothing but the file, resolves no names.
 */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/conf.h"
#include "common/gate.h"
#include "common/log.h"
#include "server/networks.h"
#include "server/servers.h"
#include "server/sources.h"

#define SETTINGS_FILE "/etc/nrpc-gateway.conf"

enum settings_listen_kind { LISTEN_TCP, LISTEN_UNIX, LISTEN_SYSTEMD };

struct settings_listen {
	enum settings_listen_kind kind;
	struct sockaddr_storage address;	/* LISTEN_TCP */
	char *path;				/* LISTEN_UNIX */
};

struct settings {
	struct settings_listen *listens;
	size_t listen_count;
	unsigned unix_mode;		/* of unix sockets */
	char *path;			/* begins with '/', does not end so */
	char *key_file;
	char *registry;
	char *tls_certificate;		/* both, or both NULL */
	char *tls_key;
	char *default_server;		/* as listed; NULL: none */
	char *user;			/* NULL: not given */
	enum log_level log_level;
	struct gate_config gate;	/* all but the keys */
	struct sources_limits sources;
	struct networks proxies;	/* trusted */
	uint64_t request_ms;
	uint64_t max_connections;	/* for each listening socket */
	uint64_t max_device_streams;
	uint64_t max_gateway_streams;
	uint64_t first_bytes_ms;
	uint64_t drain_ms;
	uint64_t upgrade_ms;		/* for a new program to be ready */
	struct servers *servers;

	/* Private: whose values are read now, whose listens these are. */
	enum settings_source { FROM_DEFAULTS, FROM_FILE, FROM_OPTIONS } source,
	    listens_source, proxies_source;
	struct server *section;		/* private: the section that began */
};

/* "--key value" as it stood on the command line, without the hyphens. */
struct settings_option {
	const char *key;		/* with '_', as in the file */
	const char *value;
};

/*
 * Defaults, then the file, then the options; a repeatable option replaces what
 * the file said. why is one whole sentence on failure.
 * 0, ERR_CONFIG, ERR_IO (file) or ERR_NOMEM.
 */
int settings_load(struct settings **out, const char *file,
    const struct settings_option *options, size_t option_count,
    char why[CONF_WHY_MAX]);

/* The same from memory, without options; for fuzzing and tests. */
int settings_parse(struct settings **out, const char *name, const char *text,
    size_t len, char why[CONF_WHY_MAX]);

void settings_free(struct settings *s);

/* Would these need other listening sockets than those? */
bool settings_same_listens(const struct settings *a, const struct settings *b);

/* The table of all settings, ended by a NULL section; for --help. */
extern const struct conf_setting settings_table[];

#endif
