/*
 * The gateway's configuration with all its setters, on any bytes.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* Exactly sized, so that a byte read behind the end is seen. */
	char *text = malloc(len > 0 ? len : 1);
	char why[CONF_WHY_MAX];
	struct settings *s;

	if (text == NULL)
		return 0;
	if (len > 0)
		memcpy(text, data, len);
	if (settings_parse(&s, "fuzz", text, len, why) == 0)
		settings_free(s);
	else if (memchr(why, '\0', CONF_WHY_MAX) == NULL)
		abort();
	free(text);
	return 0;
}
