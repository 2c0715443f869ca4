/*
 * The verb "check": would the gateway start with this configuration? Reads the
 * keys and the registry, binds nothing and resolves nothing.
 */
#ifndef SERVER_CHECK_H
#define SERVER_CHECK_H

#include "server/settings.h"

/* Prints a summary, or what is wrong. The exit status: 0 or 1. */
int check_run(const char *file, const struct settings *s);

#endif
