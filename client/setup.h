/*
 * What the client was told: the configuration file and the command line, in
 * one structure. Knows the rules that concern several settings at once;
 * single settings are in settings.h, the command line's form in options.h.
 */
#ifndef CLIENT_SETUP_H
#define CLIENT_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/conf.h"
#include "common/lanes.h"
#include "common/log.h"

#define SETUP_LISTEN_MAX 64u
#define SETUP_LISTEN_DEFAULT "127.0.0.1:1352"

enum setup_http {
	SETUP_HTTP_AUTO,	/* HTTP/2 where the web server offers it */
	SETUP_HTTP_1,
	SETUP_HTTP_2		/* nothing else will do */
};

struct setup_listen {
	char *address;		/* as written */
	struct sockaddr_storage addr;
	char *server;		/* canonical name, or NULL: auto */
};

struct setup {
	char *url;			/* without '/' at the end */
	bool allow_plain;
	uint8_t gateway_key[32];
	bool has_gateway_key;
	char *ca_file;			/* NULL: the system's store */
	enum setup_http http;
	char *proxy;			/* NULL: the environment's, "": none */
	uint64_t connect_timeout_ms;
	char *key_file;
	struct setup_listen listens[SETUP_LISTEN_MAX];
	unsigned listen_count;
	enum log_level log_level;
	char *status_socket;
	bool status_socket_given;	/* not the default */
	bool allow_remote;
	uint64_t max_streams;
	struct lanes_config lanes;	/* without keys and id */

	/*
	 * Whether the two permissions above hold once everything is read, for
	 * settings that come before them; see setup_load.
	 */
	bool permit_plain, permit_remote;
};

struct options;

/*
 * Defaults, then the configuration file (o->config_path, or the first of the
 * default places that exists), then the options. Everything is read twice:
 * the first time only to learn what is permitted, so that the second can
 * complain of a forbidden value at its own line, wherever the permission
 * stands. 0, or an ERR_* with one sentence in why. Free it in either case.
 */
int setup_load(struct setup *c, const struct options *o,
    char why[CONF_WHY_MAX]);
void setup_free(struct setup *c);

/*
 * Is everything there that `run` cannot do without? Adds the default listener
 * if there is none. 0 or ERR_CONFIG.
 */
int setup_complete(struct setup *c, char why[CONF_WHY_MAX]);

/*
 * Add a listener: ADDRESS[:PORT], server NULL or "auto" or a canonical name.
 * 0 or ERR_CONFIG with a phrase.
 */
int setup_add_listen(struct setup *c, const char *address, size_t len,
    const char *server, char why[CONF_WHY_MAX]);
void setup_clear_listens(struct setup *c);

/* Make the folders that a file of ours is to stand in, private to the user. */
void setup_make_folders(const char *file);

#endif
