/*
 * The client's settings, one row each: what they are called in the
 * configuration file and on the command line, what they mean, and what values
 * they take. The context of the setters is a struct setup.
 */
#ifndef CLIENT_SETTINGS_H
#define CLIENT_SETTINGS_H

#include "common/conf.h"

extern const struct conf_setting settings_table[];

/* Begins a section, for conf_read: "[listen ADDRESS]" adds a listener. */
int settings_section(void *ctx, const char *section, const char *argument,
    char why[CONF_WHY_MAX]);

#endif
