/*
 * The verbs for devices: "device add", "device servers", "device list" and
 * "device revoke". Each works on the registry file while the gateway runs,
 * which notices within a second.
 */
#ifndef SERVER_REGISTRY_CLI_H
#define SERVER_REGISTRY_CLI_H

#include "server/options.h"
#include "server/settings.h"

/*
 * words[0] is add, servers, list or revoke. The exit status: 0; 1 after a
 * complaint on standard error; 2 when the command line was wrong.
 */
int registry_cli(const struct options *o, const struct settings *s);

/* What "device --help" prints. */
void registry_cli_help(void);

#endif
